"""The two programs that a translator is served as, whatever its network.

Dimensions: B sentences, K beams, S source pieces, T earlier places, C cache entries, D features, V pieces of the
vocabulary, N candidates.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from training.sequences.ranking import rank_pieces
from training.sequences.vocabulary import BEGIN, PAD, UNKNOWN


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
