"""Rows as strange as a request may bring them, to stand beside others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_KINDS = ("smallest", "largest", "huge", "zero")
_FACTOR = 1e3
_HUGE = 1e30


def make_extreme_rows(
    inputs: Mapping[str, np.ndarray], rules: Sequence[Mapping[str, Any]], count: int
) -> dict[str, dict[str, np.ndarray]]:
    """Make `count` rows of each kind: values at the ends of the manifest's ranges, or far outside of what was seen.

    Integers without a range stay within what was seen: they may be indices. BYTES are the shortest or longest element.
    A kind that is the same as another one here is left out.
    """
    by_name = {rule["name"]: rule for rule in rules}
    found: dict[tuple[Any, ...], str] = {}
    for kind in _KINDS:
        found.setdefault(tuple(_extreme_value(kind, array, by_name[name]) for name, array in inputs.items()), kind)
    return {
        kind: {
            name: np.full((count, *array.shape[1:]), value, array.dtype)
            for (name, array), value in zip(inputs.items(), values, strict=True)
        }
        for values, kind in found.items()
    }


def _extreme_value(kind: str, array: np.ndarray, rule: Mapping[str, Any]) -> Any:
    is_low = kind == "smallest"
    if array.dtype == np.object_:
        return (min if is_low or kind == "zero" else max)(array.ravel().tolist(), key=len)
    if array.dtype.kind != "f":
        seen = array.min() if is_low or kind == "zero" else array.max()
        if array.dtype == np.uint8:
            seen = 0 if is_low or kind == "zero" else 255
        return _within(rule, seen, "minimum" if is_low else "maximum" if kind in ("largest", "huge") else None)
    largest = np.nanmax(np.abs(array)) if np.isfinite(array).any() else 1.0
    value = {"smallest": -_FACTOR * largest, "largest": _FACTOR * largest, "huge": _HUGE, "zero": 0.0}[kind]
    limits = np.finfo(array.dtype)
    return np.clip(_within(rule, value, None), limits.min, limits.max)


def _within(rule: Mapping[str, Any], value: Any, end: str | None) -> Any:
    """The end of the range, if one is wanted and there is one; else the value, brought into the range."""
    low, high = rule.get("minimum"), rule.get("maximum")
    if end is not None and rule.get(end) is not None:
        return rule[end]
    if low is not None:
        value = max(value, low)
    return value if high is None else min(value, high)
