"""How the difference of two runs is put into words."""

from __future__ import annotations

from pathlib import Path


def describe_difference(
    first: float, second: float, interval: tuple[float, float], p_value: float, *, test: str = ""
) -> str:
    """Both runs' figures, second − first with its 95 % interval, what the named test says of it, and the verdict."""
    low, high = interval
    return (
        f"{first:.4f} → {second:.4f}: {second - first:+.4f} (95 % interval {low:+.4f} … {high:+.4f}), "
        f"{test}{' ' if test else ''}p = {p_value:.3g}: {judge_difference(low, high)}"
    )


def judge_difference(low: float, high: float) -> str:
    """Say whether an interval leaves zero out."""
    return "they differ" if low > 0 or high < 0 else "no difference shown"


def other_test(first: Path, second: Path, rows: str) -> ValueError:
    """The error of two runs whose test rows, by their name, are not the same."""
    return ValueError(f"{first} and {second} were evaluated on different test {rows}; compare runs on the same data")
