"""Two sides measured in turn: absolute figures drift on a shared machine, their ratio much less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rich.console import Console

Measure = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Figures of both sides, pair by pair."""

    name: str
    other: str
    unit: str
    figures: tuple[float, ...]
    other_figures: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        return [figure / other for figure, other in zip(self.figures, self.other_figures, strict=True)]

    @property
    def value(self) -> float:
        """Median of the ratios of the pairs."""
        return median(self.ratios)

    def __str__(self) -> str:
        return (
            f"{self.name} {median(self.figures):,.1f} {self.unit} ÷ {self.other} {median(self.other_figures):,.1f} "
            f"{self.unit} = {self.value:.2f}× (median of {len(self.ratios)} pairs, which range from "
            f"{min(self.ratios):.2f} to {max(self.ratios):.2f})"
        )


def measure_ratio(
    name: str, measure: Measure, other: str, measure_other: Measure, *, unit: str, repeats: int, console: Console
) -> Ratio:
    """Measure both sides alternately, each pair in the other order; the first pair only warms up."""
    figures: list[float] = []
    other_figures: list[float] = []
    for repeat in range(repeats + 1):
        sides = [(measure, figures), (measure_other, other_figures)]
        for side, found in sides if repeat % 2 else reversed(sides):
            found.append(side())
        label = "warm-up" if repeat == 0 else f"pair {repeat} of {repeats}"
        console.print(f"  {label}: {name} {figures[-1]:,.1f}, {other} {other_figures[-1]:,.1f} {unit}")
    return Ratio(name=name, other=other, unit=unit, figures=tuple(figures[1:]), other_figures=tuple(other_figures[1:]))


def print_bar(console: Console, what: str, value: float, bar: float, *, at_least: bool = True, unit: str = "") -> bool:
    """Print whether a figure reaches its bar; return it."""
    reached = value >= bar if at_least else value <= bar
    sign = "≥" if at_least else "≤"
    console.print(
        f"{'[green]reached' if reached else '[red]MISSED'}[/] {what}: {value:.2f}{unit} (bar {sign} {bar:g}{unit})"
    )
    return reached
