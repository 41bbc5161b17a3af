"""Batched beam search over a captured encoder and decoder; greedy search is a beam of one.

Sentences may join while others are being written, and leave; a sentence's `start` is the place of its first entry.

Dimensions: B sentences, K beams, S source pieces, T places, C cache entries, D features, N candidates.

encoder: source int64 [B, S] → memory [M, B, …], source bias [B, S], first cache entry [C, B, D]
decoder: last pieces int64 [B, K], ancestors int64 [T, B, K], starts int64 [B], cache [T, C, B, K, D], memory, source
    bias → log probabilities [B, K, N] of the best next pieces, these pieces [B, K, N], cache entry [C, B, K, D], source
    weights [B, K, S], if it has a source to look at
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.device import Cpu, Device
from handlers.program import Program
from handlers.sampling import Sampler, Sampling

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
    sampling: Sampling | None = None


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation: pieces without the end sign, its score, and source weights [T, S] if asked for."""

    pieces: np.ndarray
    score: float
    weights: np.ndarray | None


def search(
    beams: Beams,
    source: np.ndarray,
    limits: np.ndarray,
    options: Sequence[SearchOptions],
    departed: Callable[[], Iterable[int]] = tuple,
    begins: np.ndarray | None = None,
) -> list[list[Hypothesis]]:
    """Write what follows from rows of source pieces int64 [B, S]; returns each row's hypotheses, best first.

    `beams` are new ones; for the others see `Beams.join`. A row's result does not depend on the other rows. `departed`,
    asked before each step, names rows that nobody waits for any longer; they have no hypotheses. What grows with the
    network's width stays on its device.
    """
    beams.join(range(len(source)), source, limits, options, begins)
    while beams.keys.size:
        beams.drop(departed())
        if beams.keys.size:
            beams.advance()
    return [rank_hypotheses(beams.found[row], wanted) for row, wanted in enumerate(options)]


def rank_hypotheses(found: Sequence[Hypothesis], options: SearchOptions) -> list[Hypothesis]:
    """Put a sentence's hypotheses in order, best first, as many as are wanted."""
    return sorted(found, key=lambda hypothesis: -hypothesis.score)[: options.num_hypotheses]


class Beams:
    """The sentences that are being written, each with as many beams.

    `keys` [B] are the names under which they joined; `ended` [B] says which of them are done and only wait to be taken
    out of the batch. `found` has the finished hypotheses of each, in no order; take it out when a sentence has ended.
    """

    def __init__(
        self, encoder: Program, decoder: Program, device: Device, beam_size: int, *, alignments: bool = False
    ) -> None:
        self.beam_size, self.alignments = beam_size, alignments
        self.found: dict[int, list[Hypothesis]] = {}
        self.keys = np.zeros(0, np.int64)
        self.ended = np.zeros(0, bool)
        self._encoder, self._decoder, self._device = encoder, decoder, device
        self._num_places = 1
        self._starts = self._limits = self._num_found = np.zeros(0, np.int64)
        self._min_lengths = np.zeros(0, np.int64)
        self._penalties = np.zeros(0)
        self._samplers: list[Sampler | None] = []
        # Values of the device, once there are sentences.
        self._cache: Any = None
        self._memory: Any = None
        self._source_bias: Any = None
        self._ancestors = np.zeros((1, 0, beam_size), np.int64)
        self._tokens = np.zeros((0, beam_size), np.int64)
        self._scores = np.zeros((0, beam_size))
        self._pieces = np.zeros((0, beam_size, 0), np.int64)
        self._weights: list[np.ndarray] = []

    def join(
        self,
        keys: Sequence[int],
        source: np.ndarray,
        limits: np.ndarray,
        options: Sequence[SearchOptions],
        begins: np.ndarray | None = None,
    ) -> None:
        """Begin sentences: source pieces int64 [B, S], the most pieces of each [B], what each wants.

        `begins` int64 [B] are the pieces before the first own ones, the begin sign if not given.
        """
        if self.ended.any():  # the program takes so many rows and no more
            self._leave()
        memory, source_bias, first = self._encoder(self._device.put([source]))
        place, num_old, num_new = self._num_places - 1, len(self.keys), len(keys)
        self.keys = np.append(self.keys, np.array(keys, np.int64))
        self.found |= {key: [] for key in keys}
        self.ended = np.append(self.ended, np.zeros(num_new, bool))
        self._num_found = np.append(self._num_found, np.zeros(num_new, np.int64))
        self._min_lengths = np.append(self._min_lengths, [wanted.min_length for wanted in options])
        self._penalties = np.append(self._penalties, [wanted.length_penalty for wanted in options])
        self._samplers += [Sampler(wanted.sampling) if wanted.sampling else None for wanted in options]
        self._starts = np.append(self._starts, np.full(num_new, place))
        self._limits = np.append(self._limits, limits)
        num_places = int((self._starts + self._limits).max()) + 1
        cache = self._device.empty((num_places, len(first), num_old + num_new, self.beam_size, first.shape[-1]), first)
        cache[:place, :, num_old:] = 0  # what is masked must still be numbers
        cache[place, :, num_old:] = first[:, :, None]
        if num_old:
            cache[: place + 1, :, :num_old] = self._cache[: place + 1]
        self._cache = cache
        self._memory = _append_rows(self._memory, memory, (1, memory.ndim - 2), 0, self._device)
        self._source_bias = _append_rows(self._source_bias, source_bias, (0, 1), -np.inf, self._device)
        ancestors = np.zeros((num_places, num_old + num_new, self.beam_size), np.int64)
        ancestors[: place + 1, :num_old] = self._ancestors[: place + 1]
        self._ancestors = ancestors
        shape = (num_new, self.beam_size)
        begins = np.full(num_new, BEGIN) if begins is None else begins
        self._tokens = np.append(self._tokens, np.repeat(begins[:, None], self.beam_size, 1), 0)
        scores = np.full(shape, -np.inf)
        scores[:, 0] = 0.0
        self._scores = np.append(self._scores, scores, 0)
        self._pieces = np.append(self._pieces, np.full((*shape, place), PAD, np.int64), 0)
        for index, weights in enumerate(self._weights):
            new = np.zeros((num_new, weights.shape[1], source.shape[1]), weights.dtype)
            self._weights[index] = _append_rows(weights, new, (0, 2), 0, Cpu())  # these have been fetched

    def drop(self, keys: Iterable[int]) -> None:
        """Take out sentences that nobody waits for; unknown ones were done already."""
        dropped = [index for key in keys for index in np.flatnonzero(self.keys == key)]
        if dropped:
            self.ended[dropped] = True
            self._leave()

    def advance(self) -> list[int]:
        """Write one piece in every beam, finish what ended, and go on with the best of the rest.

        Returns the keys of the sentences that ended.
        """
        if self.ended.any() and (self.ended.mean() >= _LEAVING_SHARE or self._lengths().max() > self._limits.max()):
            self._leave()
        places, device = self._num_places, self._device
        # At first all beams are the same: one of them says what all would say, and the others have no score yet.
        beams = 1 if places == 1 else self.beam_size
        log_probabilities, candidates, entry, *weights = self._decoder(
            [
                *device.put([self._tokens[:, :beams], self._ancestors[:places, :, :beams], self._starts]),
                self._cache[:places, :, :, :beams],
                self._memory,
                self._source_bias,
            ]
        )
        self._cache[places] = entry
        if self.alignments:
            self._weights += device.fetch(weights)
        parents, pieces, scores = self._rank(*device.fetch([log_probabilities, candidates]))
        ended = self._finish(parents, pieces, scores)
        self._follow(parents, pieces, scores)
        if self.ended.all():
            self._leave()
        return ended

    def settled(self, index: int) -> np.ndarray:
        """The pieces that all of a sentence's beams and finished hypotheses begin with: these will not change."""
        start = self._starts[index]
        beams = self._pieces[index, np.isfinite(self._scores[index]), start:]
        finished = [hypothesis.pieces for hypothesis in self.found[int(self.keys[index])]]
        written = beams[0]
        for other in (*beams[1:], *finished):
            length = min(len(written), len(other))
            same = written[:length] == other[:length]
            written = written[: length if same.all() else int(np.argmin(same))]
        return written

    def _rank(self, log_probabilities: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The 2K best continuations of each sentence [B, 2K]: from which beam, by which piece, with which score.

        Of one beam there are fewer than 2K, but always K that do not end.
        """
        num_rows, num_beams, num_candidates = candidates.shape
        totals = self._scores[:, :num_beams, None] + log_probabilities
        is_short = self._lengths() <= self._min_lengths
        if is_short.any():
            totals[is_short[:, None, None] & (candidates == END)] = -np.inf
        totals, candidates = totals.reshape(num_rows, -1), candidates.reshape(num_rows, -1)
        best = np.argsort(-totals, axis=1, kind="stable")
        for index, sampler in enumerate(self._samplers):
            if sampler is not None:
                place = sampler.choose(
                    totals[index, best[index]] - self._scores[index, 0], candidates[index, best[index]]
                )
                best[index, [0, place]] = best[index, [place, 0]]
        best = best[:, : 2 * self.beam_size]
        rows = np.arange(num_rows)[:, None]
        return best // num_candidates, candidates[rows, best], totals[rows, best]

    def _finish(self, parents: np.ndarray, pieces: np.ndarray, scores: np.ndarray) -> list[int]:
        """Take out continuations that end among the K best, and all of the K best at a row's limit."""
        num_beams, lengths = self.beam_size, self._lengths()
        at_limit = lengths >= self._limits
        ends = pieces[:, :num_beams] == END
        ends = (ends | at_limit[:, None]) & np.isfinite(scores[:, :num_beams]) & ~self.ended[:, None]
        for index, rank in zip(*np.nonzero(ends), strict=True):
            parent, piece = parents[index, rank], pieces[index, rank]
            written = self._pieces[index, parent, self._starts[index] :]
            if piece != END:
                written = np.append(written, piece)
            score = scores[index, rank] / lengths[index] ** self._penalties[index]
            self.found[int(self.keys[index])].append(
                Hypothesis(written, float(score), self._trace_weights(index, parent, len(written)))
            )
            self._num_found[index] += 1
        newly = ((self._num_found >= num_beams) | at_limit) & ~self.ended
        self.ended |= newly
        keys: list[int] = self.keys[newly].tolist()
        return keys

    def _follow(self, parents: np.ndarray, pieces: np.ndarray, scores: np.ndarray) -> None:
        """Go on with the K best continuations that do not end; each parent ends once at most, so there are K."""
        rows = np.arange(len(parents))[:, None]
        # numpy's take_along_axis makes the same index anew for each array, which takes longer than the taking.
        kept = np.argsort(pieces == END, axis=1, kind="stable")[:, : self.beam_size]
        parents, pieces, self._scores = parents[rows, kept], pieces[rows, kept], scores[rows, kept]
        self._pieces = np.concatenate((self._pieces[rows, parents], pieces[:, :, None]), axis=2)
        places = self._num_places
        self._ancestors[:places] = self._ancestors[:places, rows, parents]
        self._ancestors[places] = parents
        self._tokens = pieces
        self._num_places += 1

    def _leave(self) -> None:
        """Drop the sentences that ended from the batch, and the places that none of the others has written."""
        staying = np.flatnonzero(~self.ended)
        device, end = self._device, self._num_places
        first = int(self._starts[staying].min()) if staying.size else end - 1
        self._starts, self._limits = self._starts[staying] - first, self._limits[staying]
        self._num_places = end - first
        num_places = int((self._starts + self._limits).max(initial=0)) + 1
        cache = device.empty((num_places, self._cache.shape[1], len(staying), *self._cache.shape[3:]), self._cache)
        if staying.size:
            device.take(self._cache[first:end], staying, 2, out=cache[: self._num_places])
        self._cache = cache
        self._memory = device.take(self._memory, staying, 1)
        self._source_bias = device.take(self._source_bias, staying, 0)
        ancestors = np.zeros((num_places, len(staying), self.beam_size), np.int64)
        ancestors[: self._num_places] = self._ancestors[first:end, staying]
        self._ancestors, self._tokens = ancestors, self._tokens[staying]
        self._weights = [weights[staying] for weights in self._weights[first:]]
        self._scores, self._pieces = self._scores[staying], self._pieces[staying, :, first:]
        self._min_lengths, self._penalties = self._min_lengths[staying], self._penalties[staying]
        self._samplers = [self._samplers[index] for index in staying]
        self.keys, self.ended, self._num_found = self.keys[staying], self.ended[staying], self._num_found[staying]

    def _lengths(self) -> np.ndarray:
        """How many pieces each sentence has when the step under way is done [B]."""
        lengths: np.ndarray = self._num_places - self._starts
        return lengths

    def _trace_weights(self, index: int, parent: int, length: int) -> np.ndarray | None:
        """Collect a hypothesis' source weights [T, S] along its ancestors; place t + 1 names the beam of step t."""
        if not self.alignments:
            return None
        start = self._starts[index]
        beams = [*self._ancestors[start + 1 : len(self._weights), index, parent].tolist(), parent]
        steps = [weights[index, beam] for weights, beam in zip(self._weights[start:], beams, strict=True)]
        return np.stack(steps)[:length].astype(np.float32, copy=False)


def pad_rows(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Stack rows of piece numbers into int64 [B, longest]."""
    padded = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded


def _append_rows(old: Any, new: Any, axes: tuple[int, int], fill: float, device: Device) -> Any:
    """Join rows, the first of two axes, whose sources, the second, may be of other lengths; both on a device."""
    if old is None or old.shape[axes[0]] == 0:
        return new
    shape = list(new.shape)
    shape[axes[0]] += old.shape[axes[0]]
    shape[axes[1]] = max(old.shape[axes[1]], new.shape[axes[1]])
    joined = device.empty(shape, new)
    joined[...] = fill
    for part, begin in ((old, 0), (new, old.shape[axes[0]])):
        place = [slice(None)] * len(shape)
        place[axes[0]] = slice(begin, begin + part.shape[axes[0]])
        place[axes[1]] = slice(part.shape[axes[1]])
        joined[tuple(place)] = part
    return joined
