"""Batches of about equal numbers of tokens, made of sentences of about equal length.

Dimensions: B sentences, S source pieces, T target pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.distributed import own_share
from training.engine.seeds import generator_for
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

    def take_share(self) -> Batch:
        """This process's sentences; where there are too few for it, one of which nothing is to be learned."""
        rows = own_share(len(self.source))
        if rows.stop > rows.start:
            return Batch(self.source[rows], self.target_in[rows], self.target_out[rows])
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
        longest = max(map(len, (*sources, *targets)))
        if longest > tokens_per_batch:
            raise ValueError(f"a sentence has {longest} pieces, more than tokens_per_batch={tokens_per_batch}")
        self.sources, self.targets = sources, targets
        self.tokens_per_batch, self.seed, self.device = tokens_per_batch, seed, device
        self._lengths = [max(len(a), len(b)) for a, b in zip(sources, targets, strict=True)]
        self._epoch, self._plan = -1, self._cut(torch.arange(len(sources)).tolist())

    @property
    def steps_per_epoch(self) -> int:
        """Equal in all epochs: the cuts depend on the sorted lengths alone."""
        return len(self._plan)

    def at(self, step: int) -> Batch:
        """Make the batch of a step; the same again after a resume."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = generator_for(self.seed, epoch)
            rows = torch.randperm(len(self.sources), generator=generator).tolist()
            plan = self._cut(rows)
            order = torch.randperm(len(plan), generator=generator).tolist()
            self._epoch, self._plan = epoch, [plan[place] for place in order]
        return self.make_batch(self._plan[index])

    def in_order(self) -> list[Batch]:
        """All sentences once, for validation."""
        return [self.make_batch(rows) for rows in self._cut(list(range(len(self.sources))))]

    def make_batch(self, rows: Sequence[int]) -> Batch:
        """Pad some sentences to their longest."""
        targets = [self.targets[row] for row in rows]
        return Batch(
            pad_rows([self.sources[row] for row in rows]).to(self.device),
            pad_rows([[BEGIN, *target[:-1]] for target in targets]).to(self.device),
            pad_rows(targets).to(self.device),
        )

    def _cut(self, rows: list[int]) -> list[list[int]]:
        """Sort by length, keeping the given order among equals, and fill batches up to the bound."""
        batches: list[list[int]] = []
        for row in sorted(rows, key=self._lengths.__getitem__):
            if not batches or (len(batches[-1]) + 1) * self._lengths[row] > self.tokens_per_batch:
                batches.append([])
            batches[-1].append(row)
        return batches


def pad_rows(rows: Sequence[Sequence[int]]) -> Tensor:
    """Stack rows of piece numbers into int64 [B, longest]."""
    padded = torch.full((len(rows), max(map(len, rows))), PAD)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = torch.tensor(row)
    return padded
