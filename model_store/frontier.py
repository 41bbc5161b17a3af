"""The Pareto front of a release: the variants that no other one equals in quality, speed and size and beats in one.

All that was measured counts only as far as its 95 % intervals lie apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the GPU check runs where pydantic is not installed
    from model_store.manifest import Manifest

Interval = tuple[float, float]
FRONT_MARK = "◆"


class MeasuredSpeed(Protocol):
    """A manifest's Speed, or what becomes one."""

    @property
    def rows_per_s(self) -> float: ...

    @property
    def single_row_ms(self) -> float: ...

    @property
    def rows_per_s_interval(self) -> Interval | None: ...

    @property
    def single_row_ms_interval(self) -> Interval | None: ...


class Compared(Protocol):
    """A manifest's PairedTest, or what becomes one."""

    @property
    def interval(self) -> Interval: ...


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What variants are weighed by, the 95 % interval of each; `quality` is the difference from the reference."""

    quality: Interval
    rows_per_s: Interval
    single_row_ms: Interval
    size_bytes: int

    def beats(self, other: Figures) -> bool:
        """Tell whether this is nowhere shown to be worse than another, and shown to be better somewhere."""
        pairs = list(zip(self._gains(), other._gains(), strict=True))
        return any(a[0] > b[1] for a, b in pairs) and not any(a[1] < b[0] for a, b in pairs)

    def _gains(self) -> tuple[Interval, ...]:
        """Intervals of what is better the more it is."""
        low_ms, high_ms = self.single_row_ms
        return self.quality, self.rows_per_s, (-high_ms, -low_ms), (-self.size_bytes, -self.size_bytes)


def figures_of(compared: Compared | None, speed: MeasuredSpeed, size_bytes: int) -> Figures:
    """Take what a variant is weighed by; the reference, which is compared with nothing, differs from itself by 0."""
    return Figures(
        quality=compared.interval if compared else (0.0, 0.0),
        rows_per_s=speed.rows_per_s_interval or (speed.rows_per_s, speed.rows_per_s),
        single_row_ms=speed.single_row_ms_interval or (speed.single_row_ms, speed.single_row_ms),
        size_bytes=size_bytes,
    )


def find_front(variants: Mapping[str, Figures]) -> list[str]:
    """Name the variants that none of the others beats, in their order.

    With intervals three may beat each other in a circle, each in another respect; then they stay.
    """
    beaten_by = {
        name: {other for other, theirs in variants.items() if theirs.beats(figures)}
        for name, figures in variants.items()
    }
    for _ in variants:  # those who beat the ones that beat it, and so on
        for name, others in beaten_by.items():
            beaten_by[name] = others.union(*(beaten_by[other] for other in others))
    return [name for name, others in beaten_by.items() if all(name in beaten_by[other] for other in others)]


def find_front_of(manifests: Iterable[Manifest]) -> list[str]:
    """Name the variants on the front of those that may be served, by their manifests."""
    return find_front({one.variant: figures_of(one.quality.paired, one.speed, one.size_bytes) for one in manifests})


def in_brackets(interval: Interval | None, form: str) -> str:
    """Write an interval behind its figure, both ends by a format; '' where there is none."""
    return f" ({interval[0]:{form}} … {interval[1]:{form}})" if interval else ""
