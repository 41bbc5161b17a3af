"""Record golden rows: what each variant that may be served answers to the examples, and how much is rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from handlers.base import Handler
from model_store.deviation import find_other_rows, is_numeric, measure_deviation
from model_store.golden import MOST_ROWS, GoldenAnswer, take_rows
from training.release.row_check import MOST_TOLERANCE, ROUNDING_FACTOR
from training.release.spec import ReleaseSpec

# An image of middle brightness, every value one level off.
_ONE_LEVEL = 1 / 128


@dataclass(frozen=True, kw_only=True)
class LeftOutput:
    """An output that is not compared, and why."""

    inputs: tuple[str, ...]
    output: str
    why: str


@dataclass(frozen=True)
class Recorded:
    """The golden rows of one variant."""

    answers: list[GoldenAnswer] = field(default_factory=list)
    left_out: list[LeftOutput] = field(default_factory=list)


def choose_examples(spec: ReleaseSpec) -> dict[str, np.ndarray]:
    """The model's own example rows, else the first held-out ones."""
    if spec.examples:
        return dict(spec.examples)
    return {name: array[:MOST_ROWS] for name, array in spec.held_out.inputs.items()}


def record_golden(
    handler: Handler,
    examples: Mapping[str, np.ndarray],
    input_sets: Sequence[tuple[str, ...]],
    max_rows: int,
    tolerance: float,
    reference: Recorded | None = None,
) -> Recorded:
    """Ask for the examples as readiness will, and again in other ways; `tolerance` is the least that may be rounding.

    What two answers to the same rows differ by is rounding up to a bound; beyond it (randomness, the time of day, two
    classes as good as equal) an output can prove nothing and is left out. A variant of lower precision than the
    `reference` may change by as much as that precision costs it: where another processor rounds a value to the next
    level, it errs as far as the variant does anyway.
    """
    recorded = Recorded()
    exact = {} if reference is None else {(one.inputs, one.output): one.expected for one in reference.answers}
    for names in input_sets:
        if not set(names) <= set(examples):
            continue
        num_rows = min(MOST_ROWS, max_rows, max(len(examples[name]) for name in names))
        rows = {name: take_rows(examples[name], num_rows) for name in names}
        first = handler.infer(rows, {})
        refusal = next(filter(None, first.row_errors), None)
        if refusal:
            why = f"a row is refused: {refusal}"
            recorded.left_out.extend(LeftOutput(inputs=names, output=output, why=why) for output in first.arrays)
            continue
        others = list(_ask_otherwise(handler, rows, num_rows))
        for output, array in first.arrays.items():
            answers = [other[output] for other in others]
            allowed, why = _allow_change(array, answers, exact.get((names, output), array), tolerance)
            if why:
                recorded.left_out.append(LeftOutput(inputs=names, output=output, why=why))
            else:
                recorded.answers.append(GoldenAnswer(inputs=names, output=output, expected=array, tolerance=allowed))
    return recorded


def _ask_otherwise(handler: Handler, rows: Mapping[str, np.ndarray], num_rows: int) -> Iterator[dict[str, np.ndarray]]:
    """Ask for the same rows once more, on one thread, in reverse, and one by one."""
    yield _ask(handler, rows)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield _ask(handler, rows)
    finally:
        torch.set_num_threads(num_threads)
    reverse = _ask(
        handler, {name: np.flip(array, 0).copy() for name, array in rows.items()}
    )  # torch takes no flipped view
    yield {name: np.flip(array, 0) for name, array in reverse.items()}
    alone = [_ask(handler, {name: array[[row]] for name, array in rows.items()}) for row in range(num_rows)]
    yield {name: np.concatenate([answer[name] for answer in alone]) for name in alone[0]}


def _ask(handler: Handler, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return handler.infer(rows, {}).arrays


def _allow_change(
    expected: np.ndarray, answers: Sequence[np.ndarray], exact: np.ndarray, tolerance: float
) -> tuple[float, str]:
    """What may be rounding of an output, or why it is not compared."""
    if not is_numeric(expected):
        flipped = max(int(find_other_rows(answer, expected).sum()) for answer in answers)
        return 0.0, f"asked again, {flipped} of {len(expected)} rows got another answer" if flipped else ""
    rounding = max(measure_deviation(answer, expected, expected) for answer in answers)
    if rounding > MOST_TOLERANCE:
        return 0.0, f"asked again, the answers differed by {rounding:.2g} of their size"
    coarseness = ROUNDING_FACTOR * float(np.finfo(expected.dtype).eps) if expected.dtype.kind == "f" else _ONE_LEVEL
    precision = measure_deviation(expected, exact, exact)
    return min(MOST_TOLERANCE, max(tolerance, ROUNDING_FACTOR * rounding, coarseness, precision)), ""
