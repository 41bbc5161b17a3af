"""Which values an input may have."""

from __future__ import annotations

import numpy as np

from model_store.interface import Tensor
from model_store.tensors import DTYPES
from services.gateway.errors import InvalidRequestError


class ValueRule:
    """What a manifest says of an input's values: smallest, largest, finite."""

    def __init__(self, rule: Tensor) -> None:
        self._rule = rule
        self._dtype = DTYPES[rule.datatype]
        self._low, self._high = _find_bounds(rule, self._dtype)

    def check(self, data: bytes | memoryview) -> None:
        """Check numeric contents.

        Raises:
            InvalidRequestError: says which value is wrong and what the range is.
        """
        values = np.frombuffer(data, self._dtype)
        # For few values a quarter of min()'s cost. NaN is found by both, and compares with nothing.
        low, high = values.item(values.argmin()), values.item(values.argmax())
        if not (self._low <= low and high <= self._high):
            self._refuse(values)

    def _refuse(self, values: np.ndarray) -> None:
        """Say what is wrong with values outside the bounds, if NaN and infinities are."""
        rule = self._rule
        if rule.finite and values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            raise InvalidRequestError(
                f"input {rule.name} has {len(bad)} values that are NaN or infinite, the first at position {bad[0]}; "
                "all must be finite"
            )
        if rule.minimum is not None and values.min() < rule.minimum:
            raise InvalidRequestError(_out_of_range(rule, float(values.min())))
        if rule.maximum is not None and values.max() > rule.maximum:
            raise InvalidRequestError(_out_of_range(rule, float(values.max())))


def make_value_rule(rule: Tensor) -> ValueRule | None:
    """Make the rule of an input; None if its datatype has no other values than those allowed."""
    if rule.datatype in ("BYTES", "BOOL"):
        return None
    dtype = DTYPES[rule.datatype]
    if dtype.kind == "f":
        is_needed = rule.finite or rule.minimum is not None or rule.maximum is not None
    else:
        limits = np.iinfo(dtype)
        low, high = _find_bounds(rule, dtype)
        is_needed = low > limits.min or high < limits.max
    return ValueRule(rule) if is_needed else None


def _find_bounds(rule: Tensor, dtype: np.dtype) -> tuple[float, float]:
    """Find the smallest and largest finite values allowed, rounded as the datatype rounds them."""
    is_float = dtype.kind == "f"
    limits = np.finfo(dtype) if is_float else np.iinfo(dtype)
    number = float if is_float else int
    low, high = number(limits.min), number(limits.max)
    if rule.minimum is not None:
        low = max(low, rule.minimum)
    if rule.maximum is not None:
        high = min(high, rule.maximum)
    return (dtype.type(low).item(), dtype.type(high).item()) if is_float else (low, high)


def _out_of_range(rule: Tensor, value: float) -> str:
    low = "-∞" if rule.minimum is None else f"{rule.minimum:g}"
    high = "∞" if rule.maximum is None else f"{rule.maximum:g}"
    unit = f" {rule.unit}" if rule.unit else ""
    return f"input {rule.name} has the value {value:g}{unit}; the range is {low} to {high}{unit}: {rule.meaning}"
