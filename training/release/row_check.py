"""Prove on real rows that a row's answer is its own: alone as in a batch, whatever stands beside it.

The gateway puts rows of many callers into one batch, so a program that mixes rows gives callers answers that hang on
their neighbours, and no test of quality on whole batches sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.base import Handler
from model_store.deviation import find_other_rows, is_numeric, measure_deviation
from training.release.extreme_rows import make_extreme_rows

_NUM_PROBES = 8
_SMALL_BATCH = 5
# Another batch size takes other kernels, which round otherwise: fp32 by some 1e-6 of an answer's size, programs that
# compute in bf16 or fp16 by up to a hundredth. What batches of one row repeated show is rounding; other neighbours
# may not do ten times as much. A program that mixes rows changes answers by a tenth of their size and more.
_LEAST_TOLERANCE = 1e-3
MOST_TOLERANCE = 0.05
ROUNDING_FACTOR = 10
# A class or a word flips where two are as good as equal: so many of all probed rows may, exact and rounded programs.
_FLIPPING_EXACT = 1 / 8
_FLIPPING_ROUNDED = 1 / 4


@dataclass(frozen=True, kw_only=True)
class RowFinding:
    """What the check found; the first fields are those of the manifest's RowCheck.

    `is_repeatable`: a call made twice gave the same answer. `is_constant`: all rows got the same answer when alone.
    `failing`: the extreme neighbours on which the program raised an error.
    """

    independent: bool
    batch_sizes: tuple[int, ...]
    deviation: float
    tolerance: float
    why: str
    is_repeatable: bool = True
    is_constant: bool = False
    failing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Change:
    """The worst that an arrangement did to answers: relative deviation of numbers, and rows whose classes flipped."""

    arrangement: str
    deviation: float
    flipped: int
    num_probes: int

    def excess(self, tolerance: float, flipping: float) -> float:
        """1 and more is a changed answer."""
        return max(self.deviation / tolerance, self.flipped / (int(flipping * self.num_probes) + 1))

    def in_words(self) -> str:
        if self.flipped:
            return f"{self.flipped} of {self.num_probes} rows got another answer"
        if self.deviation > 1000:
            return "answers changed beyond all measure"
        return f"answers changed by up to {self.deviation:.2g} of their size"


def check_rows(
    handler: Handler,
    inputs: Mapping[str, np.ndarray],
    parameters: Mapping[str, Any],
    max_rows: int,
    skipping: Collection[str] = (),
) -> RowFinding:
    """Ask some rows alone, some twice, and then at every batch size class: paired, reversed, shuffled, beside extremes.

    `skipping` names extreme neighbours to leave out: where eager raises an error, a compiled program ends this process.
    """
    probes = _Probes(handler, inputs, parameters)
    again = probes.compare_again()
    if again.excess(_LEAST_TOLERANCE, 0) >= 1:
        return RowFinding(
            independent=False,
            batch_sizes=(1,),
            deviation=again.deviation,
            tolerance=_LEAST_TOLERANCE,
            why=f"asked twice for the same rows, one by one: {again.in_words()}",
            is_repeatable=False,
        )
    tolerance, flipping = _LEAST_TOLERANCE, _FLIPPING_EXACT
    failing = set(skipping)
    changes = [again, *(probes.compare_batches(max_rows, failing) if max_rows > 1 else ())]
    if max(change.excess(tolerance, flipping) for change in changes) >= 1:
        rounding = max(probes.measure_rounding(size) for size in {min(_SMALL_BATCH, max_rows), max_rows})
        tolerance = float(np.clip(ROUNDING_FACTOR * rounding, _LEAST_TOLERANCE, MOST_TOLERANCE))
        flipping = _FLIPPING_EXACT if tolerance == _LEAST_TOLERANCE else _FLIPPING_ROUNDED
    worst = max(changes, key=lambda change: change.excess(tolerance, flipping))
    return RowFinding(
        independent=worst.excess(tolerance, flipping) < 1,
        batch_sizes=tuple(sorted({1, min(2, max_rows), min(_SMALL_BATCH, max_rows), max_rows})),
        deviation=worst.deviation,
        tolerance=tolerance,
        why=f"{worst.arrangement}: {worst.in_words()}; {tolerance:g} of it may be rounding",
        is_constant=probes.is_constant(),
        failing=frozenset(failing),
    )


class _Probes:
    """Some held-out rows, spread evenly, and their answers when alone."""

    def __init__(self, handler: Handler, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> None:
        self._handler = handler
        self._inputs = inputs
        self._parameters = parameters
        self._num_rows = len(next(iter(inputs.values())))
        self.count = min(_NUM_PROBES, self._num_rows)
        self._places = np.linspace(0, self._num_rows - 1, self.count).astype(int)
        self._rows = {name: array[self._places] for name, array in inputs.items()}
        self._alone = self._ask_alone(range(self.count))

    def compare_again(self) -> _Change:
        """Ask the first and the last alone once more."""
        again = np.unique([0, self.count - 1])
        return self.compare("asked twice", self._ask_alone(again), again)

    def is_constant(self) -> bool:
        """Say whether all rows got the same answer when alone."""
        first = np.zeros(self.count, int)
        return self.count > 1 and self.compare("", self._alone, first).excess(_LEAST_TOLERANCE, 0) < 1

    def measure_rounding(self, size: int) -> float:
        """Deviation in a batch of one row repeated, which has no neighbours but itself."""
        repeated = np.zeros(size, int)
        answers = self._ask({name: rows[repeated] for name, rows in self._rows.items()})
        return self.compare("repeated", answers, repeated).deviation

    def compare_batches(self, max_rows: int, failing: set[str]) -> Iterator[_Change]:
        """Compare rows in batches with their answers alone; adds to `failing` the neighbours that raise errors."""
        probes = np.arange(self.count)
        yield self._compare_batch("in a pair", probes[:2])
        yield self._compare_batch("in a pair", probes[-2:])
        yield self._compare_batch("in a small batch, in reverse", probes[:_SMALL_BATCH][:max_rows][::-1])
        yield self._compare_full("shuffled into a full batch", max_rows)
        extremes = make_extreme_rows(self._inputs, self._handler.manifest["inputs"], min(self.count, max_rows // 2))
        for kind, extreme in extremes.items():
            if kind in failing:
                continue
            try:
                yield self._compare_beside(kind, extreme)
            except Exception:  # noqa: BLE001 – whatever it raises, its caller is told, and the others are asked again
                failing.add(kind)

    def _compare_batch(self, arrangement: str, probes: np.ndarray) -> _Change:
        return self.compare(arrangement, self._ask({name: rows[probes] for name, rows in self._rows.items()}), probes)

    def _compare_full(self, arrangement: str, max_rows: int) -> _Change:
        """Put the probes anywhere among other held-out rows (the same ones again where there are few)."""
        generator = np.random.default_rng(0)
        order = generator.permutation(max_rows)
        chosen = np.concatenate([self._places, generator.integers(0, self._num_rows, max_rows)])[:max_rows]
        probes = np.concatenate([np.arange(self.count), np.full(max_rows, -1)])[:max_rows]
        answers = self._ask({name: array[chosen[order]] for name, array in self._inputs.items()})
        return self.compare(arrangement, answers, probes[order])

    def _compare_beside(self, kind: str, extreme: Mapping[str, np.ndarray]) -> _Change:
        """Put a row of extreme values before each probe."""
        num_pairs = len(next(iter(extreme.values())))
        rows = {
            name: np.stack([extreme[name], rows[:num_pairs]], axis=1).reshape(2 * num_pairs, *rows.shape[1:])
            for name, rows in self._rows.items()
        }
        probes = np.stack([np.full(num_pairs, -1), np.arange(num_pairs)], axis=1).ravel()
        return self.compare(f"beside rows of extreme values ({kind})", self._ask(rows), probes)

    def compare(self, arrangement: str, answers: Mapping[str, np.ndarray], probes: np.ndarray) -> _Change:
        """Compare answers with the probes' alone; `probes` names the probe of each answer, −1 for other rows."""
        asked = probes >= 0
        deviation, flipped = 0.0, 0
        for name, alone in self._alone.items():
            wanted, found = alone[probes[asked]], answers[name][asked]
            if is_numeric(alone):
                deviation = max(deviation, measure_deviation(found, wanted, alone))
            else:
                other = find_other_rows(found, wanted)
                flipped = max(flipped, len(set(probes[asked][other].tolist())))
        return _Change(arrangement, deviation, flipped, self.count)

    def _ask_alone(self, probes: Iterable[int]) -> dict[str, np.ndarray]:
        answers = [self._ask({name: rows[[index]] for name, rows in self._rows.items()}) for index in probes]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _ask(self, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._handler.infer(rows, self._parameters).arrays
