"""Golden rows: what a variant answered to its release's examples when it was released, and what may be rounding.

Another CPU, driver or library may compute something else from the same signed files; only answers show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_store.deviation import find_other_rows, is_numeric, measure_deviation

MOST_ROWS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenAnswer:
    """One output of a variant for the first rows of the examples, sent together as one of the model's input sets.

    `tolerance` bounds the deviation of `expected` (see deviation.py); where nothing is numeric it is 0: equal.
    """

    inputs: tuple[str, ...]
    output: str
    expected: np.ndarray
    tolerance: float

    def explain_mismatch(self, found: np.ndarray) -> str:
        """Say how an answer is another one than was released; '' if it is the same."""
        what = f"output {self.output!r} for golden rows of {' and '.join(self.inputs)}"
        return explain_difference(what, found, self.expected, self.tolerance, "released")


def explain_difference(what: str, found: np.ndarray, expected: np.ndarray, tolerance: float, was: str) -> str:
    """Say how `what` is another one than `was` (released, answered); '' within the tolerance."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return (
            f"{what} is {found.dtype} of shape {list(found.shape)}, {was} was {expected.dtype} of shape "
            f"{list(expected.shape)}"
        )
    if not is_numeric(expected):
        other = int(find_other_rows(found, expected).sum())
        return f"{what} is another in {other} of {len(found)} rows than was {was}" if other else ""
    deviation = measure_deviation(found, expected, expected)
    if deviation <= tolerance:
        return ""
    return f"{what} deviates by {deviation:.2g} of its size from what was {was}; {tolerance:.2g} is allowed"


def take_rows(array: np.ndarray, num_rows: int) -> np.ndarray:
    """Take the first rows of an example, from its start again where there are fewer."""
    return array[np.arange(num_rows) % len(array)]
