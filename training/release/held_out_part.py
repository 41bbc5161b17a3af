"""Parts of a model's held-out rows: what a choice has looked at must not judge what was chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from training.release.spec import HeldOut

Score = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def halve(held_out: HeldOut) -> tuple[HeldOut, HeldOut]:
    """Two halves, every second row each, so that both are as the whole is.

    Raises:
        ValueError: there are fewer than 4 rows.
    """
    count = len(next(iter(held_out.inputs.values())))
    if count < 4:
        raise ValueError(
            f"{held_out.dataset} has {count} held-out rows; a search needs 4 or more, half of them its own"
        )
    return take_part(held_out, np.arange(0, count, 2), "even rows"), take_part(
        held_out, np.arange(1, count, 2), "odd rows"
    )


def take_part(held_out: HeldOut, rows: np.ndarray, name: str) -> HeldOut:
    """Those rows alone, by their places [n]; scores still see an answer to every row, and theirs are taken."""
    count = len(next(iter(held_out.inputs.values())))
    source = np.zeros(count, dtype=int)  # in the place of a row that is not asked: the first answer
    source[rows] = np.arange(len(rows))

    def of_part(score: Score | None) -> Score | None:
        if score is None:
            return None
        return lambda outputs: np.asarray(score({name: array[source] for name, array in outputs.items()}))[rows]

    baseline = held_out.baseline
    if baseline is not None:
        baseline = dataclasses.replace(baseline, scores=baseline.scores[rows])
    return dataclasses.replace(
        held_out,
        inputs={name: array[rows] for name, array in held_out.inputs.items()},
        score=of_part(held_out.score),
        doubt=of_part(held_out.doubt),
        baseline=baseline,
        dataset=f"{held_out.dataset}, {name}",
    )
