"""The gate's decisions: which variants may be served, and why others may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.release.measurement import NEAR_IDENTICAL, Comparison
from training.release.row_check import RowFinding
from training.release.statistics import rows_for_difference, rows_for_margin

Outcome = Literal["passed", "worse", "too few rows", "unsound"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a variant may be served."""

    passed: bool
    rule: str
    why: str
    outcome: Outcome
    rows_needed: int | None = None


def judge(comparison: Comparison | None, margin: float, faults: Sequence[str] = ()) -> Decision:
    """Apply the gate's rule; the reference itself (no comparison) passes, and nothing that has faults."""
    rule = f"at 95 % confidence not worse than the reference by more than {margin:g}"
    if comparison is not None and comparison.is_near_identical:
        rule += (
            f"; no row went further than {NEAR_IDENTICAL:g} of the way to another answer, so the mean way bounds the "
            "share of changed rows (Markov's inequality; Student's t of 3.65, from 64 rows on)"
        )
    if faults:
        return Decision(passed=False, rule=rule, why="; ".join(faults), outcome="unsound")
    if comparison is None:
        return Decision(passed=True, rule=rule, why="it is the reference", outcome="passed")
    low, high = comparison.interval
    measured = f"difference {comparison.difference:+.4f} ({low:+.4f} … {high:+.4f})"
    if low > -margin:
        why = f"{measured}; the lower bound is above −{margin:g}"
        return Decision(passed=True, rule=rule, why=why, outcome="passed")
    needed = _rows_needed(comparison, margin)
    if needed is None:
        why = f"{measured}; the lower bound is not above −{margin:g}"
        return Decision(passed=False, rule=rule, why=why, outcome="worse")
    why = (
        f"too few rows to tell: {measured} on {comparison.num_rows} held-out rows; with {needed} rows that differ as "
        f"these do, the lower bound would be above −{margin:g}"
    )
    return Decision(passed=False, rule=rule, why=why, outcome="too few rows", rows_needed=needed)


def _rows_needed(comparison: Comparison, margin: float) -> int | None:
    if margin <= 0:
        return None
    if comparison.counts is not None and not comparison.is_near_identical:
        return rows_for_difference(*comparison.counts, margin)
    return rows_for_margin(comparison.difference, comparison.interval[0], comparison.num_rows, margin)


def explain_rows(finding: RowFinding) -> str:
    """Say why a variant's rows are not their own; '' if they are."""
    if not finding.is_repeatable:
        return f"the same row got two answers: {finding.why}"
    return "" if finding.independent else f"rows depend on each other: {finding.why}"
