"""What numbers a recipe's fields may hold; every recipe checks itself when it is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def check_bounds(
    recipe: Any, *, positive: Iterable[str] = (), not_negative: Iterable[str] = (), fractions: Iterable[str] = ()
) -> None:
    """Check the named fields: above 0, at least 0, or at least 0 and below 1.

    Raises:
        ValueError: names the field, its bounds and what came.
    """
    for name in positive:
        if not getattr(recipe, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(recipe, name)}")
    for name in not_negative:
        if not getattr(recipe, name) >= 0:
            raise ValueError(f"{name} must not be negative, got {getattr(recipe, name)}")
    for name in fractions:
        if not 0 <= getattr(recipe, name) < 1:
            raise ValueError(f"{name} must lie in [0, 1), got {getattr(recipe, name)}")
