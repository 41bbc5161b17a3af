"""Networks that read a window of numbers piece by piece; each maps patches to features of the whole window.

Dimensions: N windows, S patches, P steps of a patch, D features of a patch, F features of a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.sequences.dropout import Dropout
from training.sequences.encoder import EncoderLayer, sinusoids

NetworkName = Literal["transformer", "cnn", "lstm", "gru"]


@dataclass(frozen=True, kw_only=True)
class PatchSizes:
    """What an encoder is built from."""

    network: NetworkName
    num_patches: int
    patch: int
    width: int
    num_layers: int
    num_heads: int
    dropout: float


class SideBySide(nn.Linear):
    """Features of a window from those of all its patches: where in the window something is makes a difference."""

    def __init__(self, sizes: PatchSizes, num_features: int) -> None:
        super().__init__(sizes.num_patches * sizes.width, num_features)
        # The order in which convolutions have them: finished runs of forecasters hold weights for it.
        self.is_by_feature = sizes.network == "cnn"

    def forward(self, x: Tensor) -> Tensor:
        """[N, S, D] → [N, F]."""
        return super().forward((x.transpose(1, 2) if self.is_by_feature else x).flatten(1))


class AtTheEnd(nn.Linear):
    """Features of a window from those of its last patch, for what reads in order and remembers."""

    def __init__(self, sizes: PatchSizes, num_features: int) -> None:
        super().__init__(sizes.width, num_features)

    def forward(self, x: Tensor) -> Tensor:
        """[N, S, D] → [N, F]."""
        return super().forward(x[:, -1])


class Anywhere(nn.Linear):
    """Features of a window from the mean and the greatest of its patches': what is in it counts, not where."""

    def __init__(self, sizes: PatchSizes, num_features: int) -> None:
        super().__init__(2 * sizes.width, num_features)

    def forward(self, x: Tensor) -> Tensor:
        """[N, S, D] → [N, F]."""
        return super().forward(torch.cat([x.mean(1), x.amax(1)], 1))


class TransformerEncoder(nn.Module):
    """Every patch looks at every other. Source: Nie et al. 2023, PatchTST, arXiv:2211.14730, without its masking."""

    positions: Tensor
    bias: Tensor

    def __init__(self, sizes: PatchSizes, output: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Linear(sizes.patch, sizes.width)
        self.register_buffer("positions", sinusoids(sizes.num_patches, sizes.width), persistent=False)
        self.register_buffer("bias", torch.zeros(()), persistent=False)  # nothing is hidden
        layer = (sizes.width, sizes.num_heads, 2 * sizes.width, sizes.dropout)
        self.layers = nn.ModuleList(EncoderLayer(*layer, pre_norm=True) for _ in range(sizes.num_layers))
        self.norm = nn.LayerNorm(sizes.width)
        self.output = output

    def forward(self, patches: Tensor) -> Tensor:
        """[N, S, P] → [N, F]."""
        x = self.embedding(patches) + self.positions
        for layer in self.layers:
            x = layer(x, self.bias)
        return self.output(self.norm(x))


class ConvolutionalEncoder(nn.Module):
    """Residual convolutions over patches, each sees twice as far. Source: Bai et al. 2018, arXiv:1803.01271."""

    def __init__(self, sizes: PatchSizes, output: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Conv1d(sizes.patch, sizes.width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv1d(sizes.width, sizes.width, 3, padding=2**depth, dilation=2**depth)
            for depth in range(sizes.num_layers)
        )
        self.dropout = Dropout(sizes.dropout)
        self.output = output

    def forward(self, patches: Tensor) -> Tensor:
        """[N, S, P] → [N, F]."""
        x = F.relu(self.embedding(patches.transpose(1, 2)))
        for layer in self.layers:
            x = x + self.dropout(F.relu(layer(x)))
        return self.output(x.transpose(1, 2))


class RecurrentEncoder(nn.Module):
    """An LSTM or GRU that reads patch by patch."""

    def __init__(self, sizes: PatchSizes, output: nn.Module) -> None:
        super().__init__()
        cell = nn.LSTM if sizes.network == "lstm" else nn.GRU
        dropout = sizes.dropout if sizes.num_layers > 1 else 0.0
        self.cells = cell(sizes.patch, sizes.width, sizes.num_layers, batch_first=True, dropout=dropout)
        self.output = output

    def forward(self, patches: Tensor) -> Tensor:
        """[N, S, P] → [N, F]."""
        features, _ = self.cells(patches)
        return self.output(features)


def build_patch_encoder(sizes: PatchSizes, output: nn.Module) -> nn.Module:
    """Build the network that is named, untrained; `output` maps its features [N, S, D] of patches to a window's."""
    if sizes.network == "transformer":
        return TransformerEncoder(sizes, output)
    if sizes.network == "cnn":
        return ConvolutionalEncoder(sizes, output)
    return RecurrentEncoder(sizes, output)
