"""CsiNet: a convolution and a dense layer on the one side, a dense layer and two refining blocks on the other.

Source: Wen, Shih and Jin 2018, Deep Learning for Massive MIMO CSI Feedback, IEEE Wireless Communications Letters 7(5),
arXiv:1712.08919, figure 1.
Dimensions: N channels, T delay taps, A angles, M values of a codeword.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.csi_feedback.recipe import Recipe
from training.engine.normalization import make_normalization

_SLOPE = 0.3


def _convolve(num_inputs: int, num_outputs: int, normalization: str) -> list[nn.Module]:
    return [nn.Conv2d(num_inputs, num_outputs, 3, padding=1), make_normalization(normalization, num_outputs)]


class CsiNetEncoder(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.largest = _find_largest(recipe)
        self.convolution = nn.Sequential(*_convolve(2, 2, recipe.normalization), nn.LeakyReLU(_SLOPE))
        self.dense = nn.Linear(recipe.num_values, recipe.code_size)

    def forward(self, channels: Tensor) -> Tensor:
        """[N, T, A, 2] → [N, M]."""
        x = channels.permute(0, 3, 1, 2) / (2 * self.largest) + 0.5
        code: Tensor = self.dense(self.convolution(x).flatten(1))
        return code


class RefineBlock(nn.Module):
    def __init__(self, normalization: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for num_inputs, num_outputs in pairwise((2, 8, 16)):
            layers += [*_convolve(num_inputs, num_outputs, normalization), nn.LeakyReLU(_SLOPE)]
        self.change = nn.Sequential(*layers, *_convolve(16, 2, normalization))
        self.activation = nn.LeakyReLU(_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = self.activation(x + self.change(x))
        return refined


class CsiNetDecoder(nn.Module):
    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.largest = _find_largest(recipe)
        self.shape = (2, recipe.num_taps, recipe.num_antennas)
        self.dense = nn.Linear(recipe.code_size, recipe.num_values)
        self.refine = nn.Sequential(
            RefineBlock(recipe.normalization), RefineBlock(recipe.normalization), nn.Conv2d(2, 2, 3, padding=1)
        )

    def forward(self, code: Tensor) -> Tensor:
        """[N, M] → [N, T, A, 2]."""
        x = torch.sigmoid(self.refine(self.dense(code).unflatten(1, self.shape)))
        return (x - 0.5).permute(0, 2, 3, 1) * (2 * self.largest)


def _find_largest(recipe: Recipe) -> float:
    """What an entry can be at most where the mean power is 1; the paper's channels come scaled to 0 … 1 likewise."""
    return math.sqrt(recipe.num_taps * recipe.num_antennas)
