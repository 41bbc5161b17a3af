"""The Transformer's encoder. Source: Vaswani et al. 2017, Attention Is All You Need; pre-norm: Xiong et al. 2020.

With a bias that hides what comes later its layers are those of a decoder without a source, which writes step by step.
Dimensions: B sequences, S places, K beams, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.sequences.attention import Past, SelfAttention
from training.sequences.dropout import Dropout


class FeedForward(nn.Sequential):
    """Two layers for each place alone."""

    def __init__(self, width: int, hidden: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__(nn.Linear(width, hidden), activation(), nn.Linear(hidden, width))
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)


class ResidualLayer(nn.Module):
    """Sublayers that each add to what goes past them, normalized in front of each (pre-norm) or behind it."""

    def __init__(self, width: int, num_sublayers: int, dropout: float, *, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm, self.dropout = pre_norm, Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_sublayers))

    def before(self, index: int, x: Tensor) -> Tensor:
        """What a sublayer sees."""
        return self.norms[index](x) if self.pre_norm else x

    def after(self, index: int, x: Tensor, change: Tensor) -> Tensor:
        """Add what a sublayer made."""
        x = x + self.dropout(change)
        return x if self.pre_norm else self.norms[index](x)


class EncoderLayer(ResidualLayer):
    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden: int,
        dropout: float,
        *,
        pre_norm: bool,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__(width, 2, dropout, pre_norm=pre_norm)
        self.attention = SelfAttention(width, num_heads)
        self.feed_forward = FeedForward(width, hidden, activation)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """[B, S, D] → [B, S, D]."""
        return self.read(x, bias)[0]

    def read(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`; also returns the keys and values side by side [B, S, 2D], for steps that come later."""
        mixed, entry = self.attention.read(self.before(0, x), bias)
        return self._finish(x, mixed), entry

    def step(self, x: Tensor, *pasts: Past) -> tuple[Tensor, Tensor]:
        """One new place [B, K, D] of K beams → the same, and its key and value [2, B, K, D]."""
        mixed, entry = self.attention.step(self.before(0, x), *pasts)
        return self._finish(x, mixed), entry

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.after(0, x, mixed)
        return self.after(1, x, self.feed_forward(self.before(1, x)))


def sinusoids(length: int, width: int) -> Tensor:
    """Positions float32 [length, width]. Source: Vaswani et al. 2017, section 3.5."""
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack(((place * rate).sin(), (place * rate).cos()), -1).flatten(1)
