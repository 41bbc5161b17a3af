"""The two programs that a language model is served as: one reads the prompt, one writes piece by piece.

Dimensions: B texts, S pieces of a prompt, T earlier places, L layers, D features, V pieces of the vocabulary, N
candidates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.language_model.network import LanguageModel
from training.sequences.ranking import rank_pieces
from training.sequences.vocabulary import BEGIN, PAD, UNKNOWN


class ReaderProgram(nn.Module):
    """Pieces of prompts int64 [B, S], padded at their ends, → their keys and values [2L, B, S, D], the bias that hides
    padding [B, S] and the first cache entry [2L, B, D], which stays unused."""

    def __init__(self, network: LanguageModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, prompt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory = self.network.read(prompt)
        bias = torch.zeros_like(prompt, dtype=memory.dtype).masked_fill(prompt == PAD, -math.inf)
        return memory, bias, memory.new_zeros(memory.shape[0], memory.shape[1], memory.shape[3])


class WriterProgram(nn.Module):
    """Last pieces int64 [B, 1] → log probabilities [B, 1, N] of the best next pieces, these pieces [B, 1, N] and the
    new cache entry [2L, B, 1, D].

    `cache` [T, 2L, B, 1, D] holds an entry for each piece written so far; `starts` [B] is the place before each text's
    first own entry, since texts join others later. `memory` and `prompt_bias` are the reader's.
    """

    forbidden: Tensor

    def __init__(self, network: LanguageModel, num_pieces: int, num_candidates: int) -> None:
        super().__init__()
        self.network, self.num_candidates = network, min(num_candidates, num_pieces)
        forbidden = torch.zeros(num_pieces)
        forbidden[[PAD, UNKNOWN, BEGIN]] = -math.inf
        self.register_buffer("forbidden", forbidden)

    def forward(
        self, tokens: Tensor, starts: Tensor, cache: Tensor, memory: Tensor, prompt_bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits, entry = self.network.step(tokens, starts, cache, memory, prompt_bias)
        values, pieces = rank_pieces(logits.float() + self.forbidden, self.num_candidates)
        return values, pieces, entry
