"""How well outputs agree with a program's own reference outputs: the score of programs that have no metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from model_store.agreement import are_probabilities, measure_closeness
from training.release.spec import HeldOut

CLOSENESS = "agreement (1 − relative error)"
Score = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def score_agreement(held_out: HeldOut, reference: Mapping[str, np.ndarray]) -> HeldOut:
    """Score held-out rows by agreement with their reference outputs.

    One output of probabilities (rows of floats ≥ 0 that sum to 1): whether the most probable class is the same.
    Else: 1 − ‖y − r‖ / ‖r‖ per row for floats, the share of equal elements for others; the least of all outputs.
    """
    arrays = list(reference.values())
    if len(arrays) == 1 and are_probabilities(arrays[0]):
        ((name, array),) = reference.items()
        best = array.argmax(1)
        return dataclasses.replace(
            held_out,
            score=lambda outputs: (outputs[name].argmax(1) == best).astype(np.float64),
            doubt=lambda outputs: _way_to_another_class(outputs[name], array),
            metric="top-1 agreement",
            binary=True,
        )

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.min([measure_closeness(outputs[name], array) for name, array in reference.items()], axis=0)

    return dataclasses.replace(held_out, score=score, metric=CLOSENESS)


def _way_to_another_class(array: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Per row, how much of the way to another most probable class the deviation goes at worst, 0 to 1.

    Two probabilities can only change places when their deviations together make up for their distance, so below 1 the
    class is the same for certain.
    """
    deviation = np.abs(array.astype(np.float64) - reference).max(1)
    second, first = np.sort(reference.astype(np.float64), axis=1)[:, -2:].T
    lead = first - second
    way = np.divide(2 * deviation, lead, out=(deviation != 0).astype(np.float64), where=lead > 0)
    return np.clip(np.nan_to_num(way, nan=1.0), 0, 1)
