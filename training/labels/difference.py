"""Whether two finished runs really differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.engine.difference import judge_difference, other_test
from training.engine.runs import read_arrays
from training.labels.figures import PREDICTIONS
from training.release.statistics import mcnemar_p, paired_difference_interval, wilson_interval


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two classifiers on the same n rows; `difference` and `interval` (95 %) are in accuracy, second minus first."""

    n: int
    first_right: int
    second_right: int
    only_first_right: int
    only_second_right: int
    difference: float
    interval: tuple[float, float]
    p_value: float


def compare_rows(first_right: np.ndarray, second_right: np.ndarray) -> Comparison:
    """Compare which rows two classifiers got right, bool [N] each, by McNemar's test.

    Raises:
        ValueError: the two are not about the same rows.
    """
    if first_right.shape != second_right.shape:
        raise ValueError(f"paired rows are needed, got {len(first_right)} and {len(second_right)}")
    n = len(first_right)
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    return Comparison(
        n=n,
        first_right=int(first_right.sum()),
        second_right=int(second_right.sum()),
        only_first_right=only_first,
        only_second_right=only_second,
        difference=(only_second - only_first) / n,
        interval=paired_difference_interval(only_second, only_first, n),
        p_value=mcnemar_p(only_second, only_first),
    )


def describe_right(right: np.ndarray, reference: np.ndarray | None) -> dict[str, Any]:
    """Accuracy of rows bool [N] as evaluations keep it, and reference − it by McNemar's test, if there is another that
    it is held to.
    """
    count, n = int(right.sum()), len(right)
    found: dict[str, Any] = {"value": count / n, "interval": wilson_interval(count, n)}
    if reference is None or reference is right:
        return found
    compared = compare_rows(right, reference)
    return found | {
        "difference": compared.difference,
        "difference_interval": compared.interval,
        "p_value": compared.p_value,
    }


def compare_runs(first: Path, second: Path) -> str:
    """Compare the test predictions of two finished runs; return the findings as text.

    Raises:
        FileNotFoundError: a run has no predictions because it did not finish.
        ValueError: the runs were evaluated on different test rows.
    """
    (first_right, first_labels), (second_right, second_labels) = read_right(first), read_right(second)
    if not np.array_equal(first_labels, second_labels):
        raise other_test(first, second, "rows")
    result = compare_rows(first_right, second_right)
    low, high = result.interval
    verdict = judge_difference(low, high)
    return "\n".join(
        [
            _describe(first, result.first_right, result.n),
            _describe(second, result.second_right, result.n),
            f"right only in the first {result.only_first_right}, only in the second {result.only_second_right}",
            f"second − first {100 * result.difference:+.2f} points (95 % interval {100 * low:+.2f} … "
            f"{100 * high:+.2f}), McNemar p = {result.p_value:.3g}: {verdict}",
        ]
    )


def _describe(run: Path, right: int, n: int) -> str:
    low, high = wilson_interval(right, n)
    return f"{run}: accuracy {100 * right / n:.2f} % ({100 * low:.2f} … {100 * high:.2f}) on {n} rows"


def read_right(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Which test rows a finished run got right, bool [N], and their labels, int64 [N].

    Raises:
        FileNotFoundError: the run has no predictions because it did not finish.
    """
    stored = read_arrays(run, PREDICTIONS)
    return stored["logits"].argmax(1) == stored["labels"], stored["labels"]
