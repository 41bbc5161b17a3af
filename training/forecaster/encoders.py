"""The networks that read a history; each maps patches to features of the whole history.

Dimensions: N histories, S patches, P steps of a patch, D features of a patch, F features of a history.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.forecaster.recipe import Recipe
from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer, sinusoids


class TransformerEncoder(nn.Module):
    """Every patch looks at every other. Source: Nie et al. 2023, PatchTST, arXiv:2211.14730, without its masking."""

    positions: Tensor
    bias: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        num_patches = recipe.context // recipe.patch
        self.embedding = nn.Linear(recipe.patch, recipe.width)
        self.register_buffer("positions", sinusoids(num_patches, recipe.width), persistent=False)
        self.register_buffer("bias", torch.zeros(()), persistent=False)  # nothing is hidden
        sizes = (recipe.width, recipe.num_heads, 2 * recipe.width, recipe.dropout)
        self.layers = nn.ModuleList(EncoderLayer(*sizes, pre_norm=True) for _ in range(recipe.num_layers))
        self.norm = nn.LayerNorm(recipe.width)
        self.output = nn.Linear(num_patches * recipe.width, recipe.features)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, S, P] → [N, F]."""
        x = self.embedding(patches) + self.positions
        for layer in self.layers:
            x = layer(x, self.bias)
        return self.output(self.norm(x).flatten(1))


class ConvolutionalEncoder(nn.Module):
    """Residual convolutions over patches, each sees twice as far. Source: Bai et al. 2018, arXiv:1803.01271."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Conv1d(recipe.patch, recipe.width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv1d(recipe.width, recipe.width, 3, padding=2**depth, dilation=2**depth)
            for depth in range(recipe.num_layers)
        )
        self.dropout = Dropout(recipe.dropout)
        self.output = nn.Linear(recipe.context // recipe.patch * recipe.width, recipe.features)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, S, P] → [N, F]."""
        x = F.relu(self.embedding(patches.transpose(1, 2)))
        for layer in self.layers:
            x = x + self.dropout(F.relu(layer(x)))
        return self.output(x.flatten(1))


class RecurrentEncoder(nn.Module):
    """An LSTM or GRU that reads patch by patch and keeps what it knows at the end."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        cell = nn.LSTM if recipe.network == "lstm" else nn.GRU
        dropout = recipe.dropout if recipe.num_layers > 1 else 0.0
        self.cells = cell(recipe.patch, recipe.width, recipe.num_layers, batch_first=True, dropout=dropout)
        self.output = nn.Linear(recipe.width, recipe.features)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, S, P] → [N, F]."""
        features, _ = self.cells(patches)
        return self.output(features[:, -1])
