"""An interpolated 5-gram with Kneser-Ney's counts, over the same pieces: what a language model has to beat.

Source: Kneser and Ney 1995, Improved Backing-off for M-gram Language Modeling; interpolated as in Chen and Goodman
1999, An Empirical Study of Smoothing Techniques for Language Modeling, eq. 24 to 27, discount of eq. 17.
Dimensions: N texts, S pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Order:
    """N-grams of one length, by rising key: the context's number times the size of the vocabulary, plus the piece."""

    keys: np.ndarray
    counts: np.ndarray
    totals: np.ndarray  # of the counts, by context
    followers: np.ndarray  # different pieces, by context
    discount: float


class NGram:
    """Counts of one stream of pieces."""

    def __init__(self, stream: np.ndarray, num_pieces: int, num_writable: int, order: int = 5) -> None:
        """Count a stream int64 [T]; `num_writable` of the pieces may follow at all."""
        self.num_pieces, self.num_writable = num_pieces, num_writable
        tables: list[np.ndarray] = []
        numbers = np.zeros(len(stream), np.int64)  # of the n-gram that ends at each place; there is one empty n-gram
        found: list[np.ndarray] = []
        for _ in range(order):
            contexts = np.concatenate([[-1], numbers[:-1]]) if tables else numbers
            keys = np.where(contexts < 0, -1, contexts * num_pieces + stream)
            table = np.unique(keys[keys >= 0])
            numbers = _find(table, keys)
            tables.append(table)
            found.append(numbers)
        self._orders = [self._count(tables, found, length) for length in range(order)]

    def log_probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Natural logarithms [N, S] of each piece's probability after at most four others of its row int64 [N, S]."""
        probabilities = np.full(rows.shape, 1 / self.num_writable)
        contexts = np.zeros(rows.shape, np.int64)
        for order in self._orders:
            numbers = _find(order.keys, np.where(contexts < 0, -1, contexts * self.num_pieces + rows))
            known = contexts >= 0
            totals = np.where(known, order.totals[contexts], 0)
            seen = totals > 0
            counts = np.where(numbers >= 0, order.counts[numbers], 0)
            own = np.maximum(counts - order.discount, 0)
            rest = order.discount * np.where(known, order.followers[contexts], 0) * probabilities
            probabilities = np.where(seen, (own + rest) / np.maximum(totals, 1), probabilities)
            contexts = np.concatenate([np.full((len(rows), 1), -1), numbers[:, :-1]], 1)
        logarithms: np.ndarray = np.log(probabilities)
        return logarithms

    def _count(self, tables: list[np.ndarray], found: list[np.ndarray], length: int) -> _Order:
        """Count occurrences of the longest n-grams, and of the others how many different pieces stand before them."""
        keys, numbers = tables[length], found[length]
        if length + 1 == len(tables):
            counts = np.bincount(numbers[numbers >= 0], minlength=len(keys))
        else:
            longer = found[length + 1]
            _, places = np.unique(longer, return_index=True)
            suffixes = numbers[places[longer[places] >= 0]]
            counts = np.bincount(suffixes, minlength=len(keys))
        contexts = keys // self.num_pieces
        size = len(tables[length - 1]) if length else 1
        once, twice = (int((counts == times).sum()) for times in (1, 2))
        return _Order(
            keys,
            counts,
            np.bincount(contexts, counts, minlength=size),
            np.bincount(contexts, counts > 0, minlength=size),
            once / (once + 2 * twice) if once else 0.0,
        )


def _find(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The places of keys in a sorted table, −1 where they are not."""
    places = np.searchsorted(table, keys).clip(max=len(table) - 1)
    return np.where(table[places] == keys, places, -1)
