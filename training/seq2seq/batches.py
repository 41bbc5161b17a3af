"""Batches of sentences and their translations.

Dimensions: B sentences, S source pieces, T target pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.distributed import own_share
from training.sequences.batching import LengthPlan, pad_rows
from training.sequences.vocabulary import BEGIN, PAD


@dataclass(frozen=True)
class Batch:
    """Pieces int64: `source` [B, S] with its end sign, `target_in` [B, T] from the begin sign, `target_out` [B, T]."""

    source: Tensor
    target_in: Tensor
    target_out: Tensor

    @property
    def num_pieces(self) -> Tensor:
        """Pieces to learn, padding left out."""
        return (self.target_out != PAD).sum()

    def take(self, rows: slice) -> Batch:
        """Some of the sentences."""
        return Batch(self.source[rows], self.target_in[rows], self.target_out[rows])

    def take_share(self) -> Batch:
        """This process's sentences; where there are too few for it, one of which nothing is to be learned."""
        rows = own_share(len(self.source))
        if rows.stop > rows.start:
            return self.take(rows)
        return Batch(self.source[:1], self.target_in[:1], torch.full_like(self.target_out[:1], PAD))


class TokenBatches:
    """A corpus of piece numbers, cut anew into batches in each epoch."""

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        tokens_per_batch: int,
        seed: int,
        device: torch.device,
    ) -> None:
        """Take encoded sentences; `tokens_per_batch` bounds the padded pieces of the longer side.

        Raises:
            ValueError: a sentence alone is longer than a batch.
        """
        self.sources, self.targets, self.device = sources, targets, device
        lengths = [max(len(a), len(b)) for a, b in zip(sources, targets, strict=True)]
        self._plan = LengthPlan(lengths, tokens_per_batch=tokens_per_batch, seed=seed)

    @property
    def steps_per_epoch(self) -> int:
        """Equal in all epochs."""
        return self._plan.steps_per_epoch

    def at(self, step: int) -> Batch:
        """Make the batch of a step; the same again after a resume."""
        return self.make_batch(self._plan.at(step))

    def in_order(self) -> list[Batch]:
        """All sentences once, for validation."""
        return [self.make_batch(rows) for rows in self._plan.in_order()]

    def make_batch(self, rows: Sequence[int]) -> Batch:
        """Pad some sentences to their longest."""
        targets = [self.targets[row] for row in rows]
        return Batch(
            pad_rows([self.sources[row] for row in rows]).to(self.device),
            pad_rows([[BEGIN, *target[:-1]] for target in targets]).to(self.device),
            pad_rows(targets).to(self.device),
        )
