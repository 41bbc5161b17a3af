"""Attention in all its forms here.

Dimensions: B sentences, Q queries, S keys, T earlier places, K beams, H heads, E features of a head, D = H·E features.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Mix values by the similarity of queries and keys; returns the mixture [B, H, Q, E] and the weights [B, H, Q, S].

    `bias` is added to the similarities: 0 where a query may look, −∞ where not.

    Source: Vaswani et al. 2017, Attention Is All You Need, eq. 1.
    """
    similarity = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1]) + bias
    weights = similarity.softmax(-1)
    return weights @ values, weights


# [2, B, H, S, E], or the two apart.
KeysValues = Tensor | tuple[Tensor, Tensor]


class Past(NamedTuple):
    """Earlier places that a step looks at: keys and values [T, B, K, D], and what is added to their similarities.

    The bias broadcasts to [T, B, K, H, 1]; K may be 1 where all beams share them.
    """

    keys: Tensor
    values: Tensor
    bias: Tensor


def split_heads(features: Tensor, num_heads: int) -> Tensor:
    """[B, S, D] → [B, H, S, E]."""
    return features.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def join_heads(features: Tensor) -> Tensor:
    """[B, H, S, E] → [B, S, D]."""
    return features.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """A sequence looks at itself through several heads. Source: Vaswani et al. 2017, section 3.2.2."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.project = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        _initialize(self.project, parts=3)
        _initialize(self.output)

    def forward(self, features: Tensor, bias: Tensor) -> Tensor:
        """[B, S, D] → [B, S, D]; bias broadcasts to [B, H, S, S]."""
        return self.read(features, bias)[0]

    def read(self, features: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`; also returns the keys and values side by side [B, S, 2D], for steps that come later."""
        projected = self.project(features)
        queries, keys, values = (split_heads(part, self.num_heads) for part in projected.chunk(3, -1))
        mixed, _ = attend(queries, keys, values, bias)
        return self.output(join_heads(mixed)), projected[..., features.shape[-1] :]

    def step(self, features: Tensor, *pasts: Past) -> tuple[Tensor, Tensor]:
        """Look from one new position [B, K, D] at it and at those before; returns the mixture [B, K, D] and the new
        key and value [2, B, K, D].

        Products and sums instead of matrices of one row: a compiler makes one loop of them.
        """
        # Stacked with what is returned, queries lie in memory too: otherwise a compiler makes them anew, from the
        # projection's product, for every earlier position. Hence also sums are scaled instead of queries.
        projected = torch.stack(self.project(features).chunk(3, -1))
        queries, keys, values = projected.unbind()
        scale = (queries.shape[-1] // self.num_heads) ** -0.5
        own = (self._heads(queries) * self._heads(keys)).sum(-1, keepdim=True) * scale
        looks = [
            (self._heads(queries) * self._heads(past.keys)).sum(-1, keepdim=True) * scale + past.bias for past in pasts
        ]
        top = own
        for look in looks:
            top = torch.maximum(top, look.amax(0))
        own = (own - top).exp()
        mixed, total = own * self._heads(values), own
        for look, past in zip(looks, pasts, strict=True):
            shares = (look - top).exp()
            mixed = mixed + (shares * self._heads(past.values)).sum(0)
            total = total + shares.sum(0)
        return self.output((mixed / total).flatten(-2)), projected[1:]

    def _heads(self, features: Tensor) -> Tensor:
        return features.unflatten(-1, (self.num_heads, -1))


class CrossAttention(nn.Module):
    """A sequence looks at another one through several heads."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        _initialize(self.query)
        _initialize(self.key_value, parts=2)
        _initialize(self.output)

    def remember(self, memory: Tensor) -> Tensor:
        """Keys and values [2, B, H, S, E] of a memory [B, S, D], needed once for all queries."""
        return torch.stack([split_heads(part, self.num_heads) for part in self.key_value(memory).chunk(2, -1)])

    def forward(self, features: Tensor, keys_values: KeysValues, bias: Tensor) -> tuple[Tensor, Tensor]:
        """[B, Q, D] → [B, Q, D], and the weights [B, H, Q, S]."""
        queries = split_heads(self.query(features), self.num_heads)
        keys, values = keys_values[0], keys_values[1]
        mixed, weights = attend(queries, keys, values, bias)
        return self.output(join_heads(mixed)), weights


def _initialize(layer: nn.Linear, parts: int = 1) -> None:
    """Glorot's uniform for each of the stacked matrices."""
    for weight in layer.weight.chunk(parts):
        nn.init.xavier_uniform_(weight)
    nn.init.zeros_(layer.bias)
