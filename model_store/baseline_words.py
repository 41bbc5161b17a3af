"""How a comparison with a baseline is told, when a model is released and wherever its manifest is read.

Needs no pydantic: the release says it where there is none, too.
"""

from __future__ import annotations

from typing import Protocol


class Compared(Protocol):
    """What was measured; see measured.BaselineTest."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def difference(self) -> float: ...
    @property
    def interval(self) -> tuple[float, float]: ...
    @property
    def is_beaten(self) -> bool: ...


def tell_baseline(found: Compared) -> str:
    """Tell the figures, and warn where they show nothing learned."""
    words = "beats" if found.is_beaten else "UNTRAINED, allowed so: not shown to beat"
    low, high = found.interval
    return f"{words} {found.name} ({found.value:.4f}) by {found.difference:+.4f} ({low:+.4f} … {high:+.4f})"
