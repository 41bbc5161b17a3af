"""The Pareto front of a release: the variants that no other one equals in quality, speed and size and beats in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_store.manifest import Manifest

FRONT_MARK = "◆"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What variants are weighed by; a `quality` that is not shown to differ from the reference's is 0."""

    quality: float
    rows_per_s: float
    single_row_ms: float
    size_bytes: int

    def beats(self, other: Figures) -> bool:
        """Tell whether this is nowhere worse than another and somewhere better."""
        mine, others = self._ranks(), other._ranks()
        return mine != others and all(a >= b for a, b in zip(mine, others, strict=True))

    def _ranks(self) -> tuple[float, ...]:
        return (self.quality, self.rows_per_s, -self.single_row_ms, -self.size_bytes)


def shown_difference(difference: float, interval: tuple[float, float]) -> float:
    """A difference from the reference as far as it is shown: 0 where its 95 % interval holds 0."""
    return 0.0 if interval[0] <= 0 <= interval[1] else difference


def figures_of(manifest: Manifest) -> Figures:
    """What a manifest says of a variant."""
    paired = manifest.quality.paired
    return Figures(
        quality=shown_difference(paired.difference, paired.interval) if paired else 0.0,
        rows_per_s=manifest.speed.rows_per_s,
        single_row_ms=manifest.speed.single_row_ms,
        size_bytes=manifest.size_bytes,
    )


def find_front(variants: Mapping[str, Figures]) -> list[str]:
    """Name the variants that none of the others beats, in their order."""
    return [name for name, figures in variants.items() if not any(other.beats(figures) for other in variants.values())]
