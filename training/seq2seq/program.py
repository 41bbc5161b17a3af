"""The two programs that a translator is served as, whatever its network.

Dimensions: B sentences, K beams, S source pieces, T earlier places, C cache entries, D features, V pieces of the
vocabulary, N candidates.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.sequences.vocabulary import BEGIN, PAD, UNKNOWN

_GROUP = 64


class Step(NamedTuple):
    """One step of a decoder: logits [B, K, V], what later steps need of it [C, B, K, D], source weights [B, K, S]."""

    logits: Tensor
    entry: Tensor
    weights: Tensor


class Network(Protocol):
    """What a network offers to be served."""

    def start(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]: ...

    def step(
        self, tokens: Tensor, ancestors: Tensor, starts: Tensor, cache: Tensor, memory: Tensor, source_bias: Tensor
    ) -> Step: ...


class EncoderProgram(nn.Module):
    """Source pieces int64 [B, S] → memory [M, B, …], source bias [B, S] and the first cache entry [C, B, D]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.start(source)


class DecoderProgram(nn.Module):
    """Last pieces int64 [B, K] → log probabilities [B, K, N] of the best next pieces, these pieces [B, K, N], the new
    cache entry [C, B, K, D] and source weights [B, K, S].

    `cache` [T, C, B, K, D] holds an entry for each place so far, never moved; `ancestors` [T, B, K] says in which beam
    each of a beam's earlier places was written. Reordering beams is thus a change to a small table. `starts` [B] is the
    place of each sentence's first entry: sentences that joined others later have nothing of their own before it.
    """

    forbidden: Tensor

    def __init__(self, network: Network, num_pieces: int, num_candidates: int) -> None:
        super().__init__()
        self.network, self.num_candidates = network, num_candidates
        forbidden = torch.zeros(num_pieces)
        forbidden[[PAD, UNKNOWN, BEGIN]] = -math.inf
        self.register_buffer("forbidden", forbidden)

    def forward(
        self, tokens: Tensor, ancestors: Tensor, starts: Tensor, cache: Tensor, memory: Tensor, source_bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        step = self.network.step(tokens, ancestors, starts, cache, memory, source_bias)
        logits = step.logits.float() + self.forbidden
        values, pieces = rank_pieces(logits, self.num_candidates)
        return values, pieces, step.entry, step.weights


def rank_pieces(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` likeliest of the last dimension: their log probabilities, falling, and their indices."""
    values, pieces = find_largest(logits, count)
    best = values[..., :1]
    # As logsumexp, but with the maximum that is known already: one pass less over what no cache holds.
    return values - best - (logits - best).exp().sum(-1, keepdim=True).log(), pieces


def find_largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the `count` largest of the last dimension and their indices, in falling order.

    The largest lie in the groups with the largest maxima, so that sorting is confined to a few groups: topk over a
    whole vocabulary costs more than the network.
    """
    padded = F.pad(values, (0, -values.shape[-1] % _GROUP), value=-math.inf)
    groups = padded.unflatten(-1, (-1, _GROUP))
    if groups.shape[-2] <= count:
        top, index = values.topk(count)
        return top, index
    _, chosen = groups.amax(-1).topk(count)
    members = groups.gather(-2, chosen[..., None].expand(*chosen.shape, _GROUP))
    top, place = members.flatten(-2).topk(count)
    return top, chosen.gather(-1, place // _GROUP) * _GROUP + place % _GROUP
