"""Charts as inline SVG: no script, colours of text and grid from the page's theme, values on hover as titles.

Each chart is drawn twice, for a wide page and for a telephone, since scaled text is unreadable; the page shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TypeVar

from markupsafe import Markup, escape

WIDE_PX, NARROW_PX = 760, 340
HEIGHT_PX = 330
ROW_PX = 46
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 44
_CAP_PX = 7
_TITLE_GLYPH_PX = 6.6  # on average
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Point = tuple[float, float]
Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A scale with its ticks; `place` gives a value's share of the length, 0 to 1."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def place(self, value: float) -> float:
        if self.is_log:
            return (log10(max(value, self.low)) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points; `marks` are filled, hollow or (empty) none, `titles` are shown over them.

    One that `has_caps` has a short stroke across each point.
    """

    points: Sequence[Point]
    colour: str
    is_dotted: bool = False
    has_caps: bool = False
    marks: Sequence[bool] = ()
    titles: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A row of a bar chart: pieces one after the other, each with its colour and what to show over it."""

    label: str
    pieces: Sequence[tuple[float, str, str]]
    figure: str = ""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A row of an interval chart."""

    label: str
    value: float
    low: float
    high: float
    colour: str
    figure: str


def make_linear_axis(title: str, values: Sequence[float], *, from_zero: bool = True, num_ticks: int = 5) -> Axis:
    """An axis with round ticks around all values."""
    low = 0.0 if from_zero else min(values, default=0.0)
    high = max(values, default=1.0)
    if high <= low:
        high = low + (abs(low) or 1.0) * 0.1
    raw = (high - low) / num_ticks
    power = 10.0 ** floor(log10(raw))
    step = next(step * power for step in _STEPS if raw <= step * power * 1.0001)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = [index * step for index in range(first, last + 1)]
    return Axis(title=title, low=ticks[0], high=ticks[-1], ticks=tuple((tick, f"{tick:,.10g}") for tick in ticks))


def make_log_axis(title: str, values: Sequence[float]) -> Axis:
    """A logarithmic axis with ticks at 1, 2 and 5 times the powers of ten, or at these powers where it is long."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive) / 1.15, max(positive) * 1.15
    factors = (1, 2, 5) if high / low < 2000 else (1,)
    ticks = [factor * 10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1) for factor in factors]
    shown = tuple((tick, f"{tick:,.10g}") for tick in ticks if low <= tick <= high)
    return Axis(title=title, low=low, high=high, ticks=shown, is_log=True)


def draw_both(draw: Callable[[int], Markup]) -> Markup:
    """Draw for a wide page and for a narrow one."""
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(draw(WIDE_PX), draw(NARROW_PX))


def draw_lines(x: Axis, y: Axis, lines: Sequence[Line], *, width_px: int, rule: tuple[float, str] | None) -> Markup:
    """Draw lines over two axes; `rule` is a horizontal line with a label."""
    frame = _Frame(x, y, width_px)
    parts = [frame.draw_axes()]
    if rule is not None and y.low <= rule[0] <= y.high:
        height = frame.y_px(rule[0])
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{width_px - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>')
        parts.append(_text(rule[1], width_px - _RIGHT, height - 5, "rule", anchor="end"))
    for line in lines:
        places = [(frame.x_px(px), frame.y_px(py)) for px, py in line.points]
        path = " ".join(f"{'M' if index == 0 else 'L'}{px:.1f} {py:.1f}" for index, (px, py) in enumerate(places))
        path += "".join(f"M{px - _CAP_PX:.1f} {py:.1f}h{2 * _CAP_PX}" for px, py in places if line.has_caps)
        dash = ' stroke-dasharray="2 4"' if line.is_dotted else ""
        width = 1.5 if line.is_dotted else 2.25
        parts.append(f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="{width}"{dash}/>')
        for (px, py), is_filled, title in zip(places, line.marks, line.titles, strict=bool(line.marks)):
            fill = line.colour if is_filled else "var(--card)"
            parts.append(
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4.5" fill="{fill}" stroke="{line.colour}" stroke-width="2">'
                f"<title>{escape(title)}</title></circle>"
            )
    return _svg(width_px, HEIGHT_PX, parts)


def draw_bars(x: Axis, bars: Sequence[Bar], *, width_px: int) -> Markup:
    """Draw horizontal bars, each under its label."""

    def draw_row(bar: Bar, y_px: float, x_px: Callable[[float], float]) -> list[str]:
        parts, start = [], 0.0
        for size, colour, title in bar.pieces:
            left, right = x_px(start), x_px(start + size)
            parts.append(
                f'<rect x="{left:.1f}" y="{y_px:.1f}" width="{max(right - left, 0.5):.1f}" height="16" fill="{colour}">'
                f"<title>{escape(title)}</title></rect>"
            )
            start += size
        return parts

    return _draw_rows(x, [(bar.label, bar.figure, bar) for bar in bars], draw_row, width_px)


def draw_intervals(x: Axis, intervals: Sequence[Interval], *, width_px: int) -> Markup:
    """Draw values with their intervals, each under its label."""

    def draw_row(interval: Interval, y_px: float, x_px: Callable[[float], float]) -> list[str]:
        middle = y_px + 8
        ends = (
            f'<path d="M{x_px(interval.low):.1f} {middle - 5:.1f}v10m0 -5H{x_px(interval.high):.1f}m0 -5v10" '
            f'fill="none" stroke="{interval.colour}" stroke-width="2"/>'
        )
        title = escape(f"{interval.label}: {interval.figure}")
        dot = f'<circle cx="{x_px(interval.value):.1f}" cy="{middle:.1f}" r="5.5" fill="{interval.colour}">'
        return [ends, f"{dot}<title>{title}</title></circle>"]

    return _draw_rows(x, [(row.label, row.figure, row) for row in intervals], draw_row, width_px)


def _draw_rows(
    x: Axis,
    rows: Sequence[tuple[str, str, Row]],
    draw_row: Callable[[Row, float, Callable[[float], float]], list[str]],
    width_px: int,
) -> Markup:
    left, right = 8, width_px - _RIGHT
    bottom = len(rows) * ROW_PX + 4

    def x_px(value: float) -> float:
        return left + x.place(value) * (right - left)

    parts = []
    for value, label in _thin(x.ticks, width_px):
        px = x_px(value)
        parts.append(f'<line class="grid" x1="{px:.1f}" x2="{px:.1f}" y1="0" y2="{bottom}"/>')
        parts.append(_text(label, px, bottom + 15, "tick", anchor=_keep_inside(px, left, right)))
    parts.append(_text(_shorten(x.title, right - left), (left + right) / 2, bottom + 34, "title", anchor="middle"))
    for index, (label, figure, row) in enumerate(rows):
        top = index * ROW_PX
        parts.append(_text(label, left, top + 16, "label"))
        parts.append(_text(figure, right, top + 16, "tick", anchor="end"))
        parts += draw_row(row, top + 22, x_px)
    return _svg(width_px, bottom + 42, parts)


class _Frame:
    def __init__(self, x: Axis, y: Axis, width_px: int) -> None:
        self.x, self.y, self.width_px = x, y, width_px

    def x_px(self, value: float) -> float:
        return _LEFT + self.x.place(value) * (self.width_px - _LEFT - _RIGHT)

    def y_px(self, value: float) -> float:
        return HEIGHT_PX - _BOTTOM - self.y.place(value) * (HEIGHT_PX - _TOP - _BOTTOM)

    def draw_axes(self) -> str:
        right, bottom = self.width_px - _RIGHT, HEIGHT_PX - _BOTTOM
        parts = []
        for value, label in self.y.ticks:
            height = self.y_px(value)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{height:.1f}" y2="{height:.1f}"/>')
            parts.append(_text(label, _LEFT - 7, height + 4, "tick", anchor="end"))
        for value, label in _thin(self.x.ticks, self.width_px):
            px = self.x_px(value)
            parts.append(f'<line class="grid" x1="{px:.1f}" x2="{px:.1f}" y1="{_TOP}" y2="{bottom}"/>')
            parts.append(_text(label, px, bottom + 17, "tick", anchor=_keep_inside(px, 0, right)))
        middle = (_LEFT + right) / 2
        parts.append(_text(_shorten(self.x.title, right - _LEFT), middle, HEIGHT_PX - 6, "title", anchor="middle"))
        middle = (_TOP + bottom) / 2
        parts.append(
            f'<text class="title" text-anchor="middle" transform="translate(13 {middle:.1f}) rotate(-90)">'
            f"{escape(_shorten(self.y.title, bottom - _TOP))}</text>"
        )
        return "".join(parts)


def _thin(ticks: Sequence[tuple[float, str]], width_px: int) -> Sequence[tuple[float, str]]:
    """Leave out ticks where the chart is narrow, so that labels do not overprint."""
    longest = max((len(label) for _, label in ticks), default=1)
    fitting = max(2, int((width_px - _LEFT) / (8 * longest + 14)))
    return ticks[:: ceil(len(ticks) / fitting)] if ticks else ticks


def _keep_inside(px: float, left: float, right: float) -> str:
    """Choose the side of a label that is put at a tick, so that none is cut at a chart's edge."""
    return "start" if px < left + 15 else "end" if px > right - 15 else "middle"


def _shorten(title: str, length_px: float) -> str:
    """Leave out the end of what is longer than its axis: centred, it would lose both ends at the chart's edges."""
    num_fitting = int(length_px / _TITLE_GLYPH_PX)
    return title if len(title) <= num_fitting else f"{title[: num_fitting - 1]}…"


def _text(text: str, x: float, y: float, kind: str, *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width_px: int, height_px: float, parts: Sequence[str]) -> Markup:
    size = f'viewBox="0 0 {width_px} {height_px:.0f}" width="{width_px}" height="{height_px:.0f}"'
    return Markup(f'<svg {size} role="img">{"".join(parts)}</svg>')
