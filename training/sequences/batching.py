"""Batches of about equal numbers of tokens, made of sequences of about equal length."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.sequences.vocabulary import PAD


class LengthPlan:
    """Which rows stand together in each step; cut anew in each epoch, and the same again after a resume."""

    def __init__(self, lengths: Sequence[int], *, tokens_per_batch: int, seed: int) -> None:
        """Take the rows' lengths; `tokens_per_batch` bounds a batch's padded tokens.

        Raises:
            ValueError: a row alone is longer than a batch.
        """
        if max(lengths) > tokens_per_batch:
            raise ValueError(f"a text has {max(lengths)} pieces, more than tokens_per_batch={tokens_per_batch}")
        self.tokens_per_batch, self.seed = tokens_per_batch, seed
        self._lengths = lengths
        self._epoch, self._plan = -1, self.in_order()

    @property
    def steps_per_epoch(self) -> int:
        """Equal in all epochs: the cuts depend on the sorted lengths alone."""
        return len(self._plan)

    def at(self, step: int) -> list[int]:
        """The rows of a step."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = generator_for(self.seed, epoch)
            plan = self._cut(torch.randperm(len(self._lengths), generator=generator).tolist())
            order = torch.randperm(len(plan), generator=generator).tolist()
            self._epoch, self._plan = epoch, [plan[place] for place in order]
        return self._plan[index]

    def in_order(self) -> list[list[int]]:
        """All rows once, for validation."""
        return self._cut(list(range(len(self._lengths))))

    def _cut(self, rows: list[int]) -> list[list[int]]:
        """Sort by length, keeping the given order among equals, and fill batches up to the bound."""
        batches: list[list[int]] = []
        for row in sorted(rows, key=self._lengths.__getitem__):
            if not batches or (len(batches[-1]) + 1) * self._lengths[row] > self.tokens_per_batch:
                batches.append([])
            batches[-1].append(row)
        return batches


def pad_rows(rows: Sequence[Sequence[int]], padding: int = PAD) -> Tensor:
    """Stack rows of piece numbers into int64 [B, longest]."""
    padded = torch.full((len(rows), max(map(len, rows))), padding)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = torch.tensor(row)
    return padded


def hide_padding(source: Tensor) -> Tensor:
    """Bias float32 [B, S]: 0 for pieces, −∞ for padding."""
    return torch.zeros_like(source, dtype=torch.float32).masked_fill(source == PAD, -math.inf)
