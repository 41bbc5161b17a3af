"""A Transformer on either side of the two dense layers, each added to what goes past it.

Delay taps are its places. With nothing learned the Transformers add nothing, so that a pair whose dense layers begin as
principal components begins as good as these are.
Dimensions: N channels, T delay taps, A angles, D features of a tap, M values of a codeword.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.csi_feedback.recipe import Recipe
from training.sequences.encoder import EncoderLayer, sinusoids


class TapMixer(nn.Module):
    """Channels [N, T, A, 2] → what to add to them."""

    positions: Tensor
    bias: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.shape = (recipe.num_taps, recipe.num_antennas, 2)
        self.embedding = nn.Linear(2 * recipe.num_antennas, recipe.width)
        self.register_buffer("positions", sinusoids(recipe.num_taps, recipe.width), persistent=False)
        self.register_buffer("bias", torch.zeros(()), persistent=False)  # nothing is hidden
        sizes = (recipe.width, recipe.num_heads, 4 * recipe.width, 0.0)
        self.layers = nn.ModuleList(EncoderLayer(*sizes, pre_norm=True) for _ in range(recipe.num_layers))
        self.norm = nn.LayerNorm(recipe.width)
        self.output = nn.Linear(recipe.width, 2 * recipe.num_antennas)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, channels: Tensor) -> Tensor:
        x = self.embedding(channels.flatten(2)) + self.positions
        for layer in self.layers:
            x = layer(x, self.bias)
        change: Tensor = self.output(self.norm(x))
        return change.unflatten(2, self.shape[1:])


class AttentionEncoder(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.mixer = TapMixer(recipe)
        self.dense = nn.Linear(recipe.num_values, recipe.code_size)

    def forward(self, channels: Tensor) -> Tensor:
        """[N, T, A, 2] → [N, M]."""
        code: Tensor = self.dense((channels + self.mixer(channels)).flatten(1))
        return code


class AttentionDecoder(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.dense = nn.Linear(recipe.code_size, recipe.num_values)
        self.mixer = TapMixer(recipe)

    def forward(self, code: Tensor) -> Tensor:
        """[N, M] → [N, T, A, 2]."""
        channels = self.dense(code).unflatten(1, self.mixer.shape)
        restored: Tensor = channels + self.mixer(channels)
        return restored


@torch.no_grad()
def start_from_components(encoder: AttentionEncoder, decoder: AttentionDecoder, components: Tensor) -> None:
    """Begin as projection on orthonormal components float32 [M, 2·T·A], and back."""
    for layer, weights in ((encoder.dense, components), (decoder.dense, components.T)):
        layer.weight.copy_(weights)
        layer.bias.zero_()
