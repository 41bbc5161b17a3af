"""Batched beam search over a captured encoder and decoder; greedy search is a beam of one.

Dimensions: B sentences, K beams, S source pieces, T places, C cache entries, D features, N candidates.

encoder: source int64 [B, S] → memory [M, B, …], source bias [B, S], first cache entry [C, B, D]
decoder: last pieces int64 [B, K], ancestors int64 [T, B, K], cache [T, C, B, K, D], memory, source bias → log
    probabilities [B, K, N] of the best next pieces, these pieces [B, K, N], cache entry [C, B, K, D], source weights
    [B, K, S]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlers.device import Device
from handlers.program import Program

PAD, BEGIN, END = 0, 2, 3
# Moving the rest of a batch together costs a copy of its cache, which pays once a good part of it has left.
_LEAVING_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """`min_length` and the limits count pieces without the end sign; the score is log probability / length^penalty.

    Source: Wu et al. 2016, arXiv:1609.08144, eq. 14, in the simpler form that fairseq and CTranslate2 use.
    """

    beam_size: int
    num_hypotheses: int = 1
    min_length: int = 0
    length_penalty: float = 1.0
    alignments: bool = False


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation: pieces without the end sign, its score, and source weights [T, S] if asked for."""

    pieces: np.ndarray
    score: float
    weights: np.ndarray | None


def search(
    encoder: Program, decoder: Program, device: Device, source: np.ndarray, limits: np.ndarray, options: SearchOptions
) -> list[list[Hypothesis]]:
    """Translate rows of source pieces int64 [B, S]; returns each row's hypotheses, best first.

    `limits` [B] bounds each row's length. A row's result does not depend on the other rows. What grows with the
    network's width stays on its device.
    """
    beams = _Beams(encoder, device, source, limits, options)
    while beams.rows.size:
        beams.advance(decoder)
    return [
        sorted(found, key=lambda hypothesis: -hypothesis.score)[: options.num_hypotheses] for found in beams.finished
    ]


class _Beams:
    """The sentences still being written; `rows` says which rows of the batch they are."""

    def __init__(
        self, encoder: Program, device: Device, source: np.ndarray, limits: np.ndarray, options: SearchOptions
    ) -> None:
        self.options, self.device = options, device
        num_rows, num_beams = len(source), options.beam_size
        self.memory, self.source_bias, first = encoder(device.put([source]))
        num_places = int(limits.max()) + 1
        self.cache = device.empty((num_places, len(first), num_rows, num_beams, first.shape[-1]), first)
        self.cache[0] = first[:, :, None]
        self.ancestors = np.zeros((num_places, num_rows, num_beams), np.int64)
        self.tokens = np.full((num_rows, num_beams), BEGIN, np.int64)
        self.num_places = 1
        self.scores = np.full((num_rows, num_beams), -np.inf)
        self.scores[:, 0] = 0.0
        self.pieces = np.zeros((num_rows, num_beams, 0), np.int64)
        self.weights: list[np.ndarray] = []
        self.rows, self.limits = np.arange(num_rows), limits
        self.ended = np.zeros(num_rows, bool)
        self.finished: list[list[Hypothesis]] = [[] for _ in range(num_rows)]

    def advance(self, decoder: Program) -> None:
        """Write one piece in every beam, take out what ended, and go on with the best of the rest."""
        places = self.num_places
        # At first all beams are the same: one of them says what all would say, and the others have no score yet.
        beams = 1 if places == 1 else self.options.beam_size
        log_probabilities, candidates, entry, weights = decoder(
            [
                *self.device.put([self.tokens[:, :beams], self.ancestors[:places, :, :beams]]),
                self.cache[:places, :, :, :beams],
                self.memory,
                self.source_bias,
            ]
        )
        self.cache[places] = entry
        if self.options.alignments:
            self.weights += self.device.fetch([weights])
        parents, pieces, scores = self._rank(*self.device.fetch([log_probabilities, candidates]))
        self._finish(parents, pieces, scores)
        self._follow(parents, pieces, scores)
        if self.ended.all() or self.ended.mean() >= _LEAVING_SHARE:
            self._leave()

    def _rank(self, log_probabilities: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The 2K best continuations of each sentence [B, 2K]: from which beam, by which piece, with which score.

        Of one beam there are fewer than 2K, but always K that do not end.
        """
        num_rows, num_beams, num_candidates = candidates.shape
        totals = self.scores[:, :num_beams, None] + log_probabilities
        if self.num_places <= self.options.min_length:
            totals[candidates == END] = -np.inf
        totals, candidates = totals.reshape(num_rows, -1), candidates.reshape(num_rows, -1)
        best = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * self.options.beam_size]
        scores, pieces = (np.take_along_axis(array, best, axis=1) for array in (totals, candidates))
        return best // num_candidates, pieces, scores

    def _finish(self, parents: np.ndarray, pieces: np.ndarray, scores: np.ndarray) -> None:
        """Take out continuations that end among the K best, and all of the K best at a row's limit."""
        num_beams = self.options.beam_size
        at_limit = self.num_places >= self.limits
        ends = pieces[:, :num_beams] == END
        ends = (ends | at_limit[:, None]) & np.isfinite(scores[:, :num_beams]) & ~self.ended[:, None]
        length = self.num_places
        for index, rank in zip(*np.nonzero(ends), strict=True):
            parent, piece = parents[index, rank], pieces[index, rank]
            written = self.pieces[index, parent]
            if piece != END:
                written = np.append(written, piece)
            score = scores[index, rank] / length**self.options.length_penalty
            self.finished[self.rows[index]].append(
                Hypothesis(written, float(score), self._trace_weights(index, parent, len(written)))
            )
        counts = np.array([len(self.finished[row]) for row in self.rows])
        self.ended |= (counts >= num_beams) | at_limit

    def _follow(self, parents: np.ndarray, pieces: np.ndarray, scores: np.ndarray) -> None:
        """Go on with the K best continuations that do not end; each parent ends once at most, so there are K."""
        kept = np.argsort(pieces == END, axis=1, kind="stable")[:, : self.options.beam_size]
        parents, pieces, self.scores = (np.take_along_axis(array, kept, axis=1) for array in (parents, pieces, scores))
        written = np.take_along_axis(self.pieces, parents[:, :, None], axis=1)
        self.pieces = np.concatenate((written, pieces[:, :, None]), axis=2)
        places = self.num_places
        rows = np.arange(len(parents))[:, None]
        self.ancestors[:places] = self.ancestors[:places, rows, parents]
        self.ancestors[places] = parents
        self.tokens = pieces
        self.num_places += 1

    def _leave(self) -> None:
        """Drop the sentences that ended from the batch."""
        staying = np.flatnonzero(~self.ended)
        places, device = self.num_places, self.device
        cache = device.empty((*self.cache.shape[:2], len(staying), *self.cache.shape[3:]), self.cache)
        device.take(self.cache[:places], staying, 2, out=cache[:places])
        self.cache = cache
        self.memory, self.source_bias = device.take(self.memory, staying, 1), device.take(self.source_bias, staying, 0)
        self.ancestors, self.tokens = self.ancestors[:, staying], self.tokens[staying]
        self.weights = [weights[staying] for weights in self.weights]
        self.scores, self.pieces = self.scores[staying], self.pieces[staying]
        self.rows, self.limits, self.ended = self.rows[staying], self.limits[staying], self.ended[staying]

    def _trace_weights(self, index: int, parent: int, length: int) -> np.ndarray | None:
        """Collect a hypothesis' source weights [T, S] along its ancestors; place t + 1 names the beam of step t."""
        if not self.options.alignments:
            return None
        beams = [*self.ancestors[1 : len(self.weights), index, parent].tolist(), parent]
        steps = [weights[index, beam] for weights, beam in zip(self.weights, beams, strict=True)]
        return np.stack(steps)[:length].astype(np.float32, copy=False)


def pad_rows(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Stack rows of piece numbers into int64 [B, longest]."""
    padded = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded
