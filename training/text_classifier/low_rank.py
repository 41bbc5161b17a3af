"""Low-rank changes to a network whose own weights stay: few weights to train, and none more to serve.

Source: Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685, section 4.1.
Dimensions: I inputs, O outputs of a linear layer, R rank.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LowRankLinear(nn.Module):
    """A linear layer that stays, and beside it a change of rank R that starts as nothing."""

    def __init__(self, layer: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.factor = scale / rank
        self.down = nn.Parameter(torch.empty(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, features: Tensor) -> Tensor:
        """[..., I] → [..., O]."""
        return self.layer(features) + self.factor * F.linear(F.linear(features, self.down), self.up)

    @torch.no_grad()
    def merge(self) -> nn.Linear:
        """Add the change to the layer's weights; returns the layer."""
        self.layer.weight += self.factor * self.up @ self.down
        return self.layer


def add_low_rank(network: nn.Module, rank: int, scale: float) -> None:
    """Freeze a network, and give each of its linear layers a change to learn.

    Raises:
        ValueError: it has no linear layer.
    """
    network.requires_grad_(False)
    places = [(parent, name) for parent in network.modules() for name in _linear_children(parent)]
    if not places:
        raise ValueError("low-rank changes need linear layers, and the network has none")
    for parent, name in places:
        setattr(parent, name, LowRankLinear(getattr(parent, name), rank, scale))


def merge_low_rank(network: nn.Module) -> None:
    """Turn every changed layer into a plain one with the same outputs."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRankLinear):
                setattr(parent, name, child.merge())


def _linear_children(parent: nn.Module) -> list[str]:
    return [name for name, child in parent.named_children() if isinstance(child, nn.Linear)]
