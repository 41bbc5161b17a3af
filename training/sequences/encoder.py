"""The Transformer's encoder. Source: Vaswani et al. 2017, Attention Is All You Need; pre-norm: Xiong et al. 2020.

Dimensions: B sequences, S places, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.sequences.attention import SelfAttention
from training.sequences.dropout import Dropout


class FeedForward(nn.Sequential):
    """Two layers for each place alone."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)


class EncoderLayer(nn.Module):
    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float, *, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm, self.dropout = pre_norm, Dropout(dropout)
        self.attention = SelfAttention(width, num_heads)
        self.feed_forward = FeedForward(width, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """[B, S, D] → [B, S, D]."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.norms[0](x), bias))
            return x + self.dropout(self.feed_forward(self.norms[1](x)))
        x = self.norms[0](x + self.dropout(self.attention(x, bias)))
        return self.norms[1](x + self.dropout(self.feed_forward(x)))


def sinusoids(length: int, width: int) -> Tensor:
    """Positions float32 [length, width]. Source: Vaswani et al. 2017, section 3.5."""
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack(((place * rate).sin(), (place * rate).cos()), -1).flatten(1)
