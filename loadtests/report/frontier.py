"""Quality against speed and size: all variants of a release and the run it was made from, the Pareto front filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

from markupsafe import Markup

from loadtests.report.charts import PALETTE, assign_colours
from loadtests.report.svg import Axis, Line, draw_both, draw_lines, make_linear_axis, make_log_axis
from loadtests.results import ModelResults
from model_store.frontier import Interval, find_front_of
from model_store.measured import PairedTest, ParentRun, Quality, Speed


@dataclass(frozen=True, kw_only=True)
class Place:
    """A variant in the picture; `state` says why it is hollow, '' for one of the front."""

    name: str
    state: str
    quality: Quality | ParentRun
    speed: Speed
    size_bytes: int
    colour: str

    @property
    def figures(self) -> str:
        low, high = self.quality.interval
        counts = f"; {self.compared.detectable_in_words}" if self.compared else ""
        ends = self.speed.rows_per_s_interval
        speeds = f" ({ends[0]:,.0f} to {ends[1]:,.0f})" if ends else ""
        return (
            f"{self.name}: {self.quality.value:.4f} ({low:.4f} to {high:.4f}), {self.speed.rows_per_s:,.0f}"
            f"{speeds} rows/s, {self.size_bytes / 1e6:.2f} MB{counts}{self.state and '; '}{self.state}"
        )

    @property
    def compared(self) -> PairedTest | None:
        """Its comparison with the reference; None of the reference itself, and of the run that it was made from."""
        return self.quality.paired if isinstance(self.quality, Quality) else None


def list_front(model: ModelResults) -> list[str]:
    """Name the served variants that no other beats in quality, speed and size, as the release measured them."""
    return find_front_of(model.served)


def list_places(model: ModelResults) -> list[Place]:
    """All variants, the refused ones too, and last the run that they were made from."""
    front, colours = list_front(model), assign_colours(model)
    others = cycle(PALETTE[len(colours) :] or PALETTE)
    places = []
    for manifest in (*model.served, *model.rejected):
        state = "" if manifest.variant in front else "another is as good in all and better in one"
        places.append(
            Place(
                name=manifest.variant,
                state=state if manifest.version in colours else "refused by the gate",
                quality=manifest.quality,
                speed=manifest.speed,
                size_bytes=manifest.size_bytes,
                colour=colours.get(manifest.version) or next(others),
            )
        )
    parent = model.served[0].parent
    if parent is not None:
        places.append(
            Place(
                name="made from",
                state=f"{parent.run}, not released here",
                quality=parent,
                speed=parent.speed,
                size_bytes=parent.size_bytes,
                colour=next(others),
            )
        )
    return places


def draw_frontier(places: Sequence[Place], metric: str) -> Markup:
    """Two pictures beside each other: quality over rows per second, and over size; intervals as lines.

    Strokes across stand where a difference from the reference begins to count.
    """
    speeds = _draw(places, metric, _take_speed, "rows/s, one thread", make_linear_axis)
    sizes = _draw(places, metric, _take_size, "size, MB", make_log_axis)
    return Markup('<div class="pair">{}{}</div>').format(speeds, sizes)


def _take_speed(place: Place) -> tuple[float, Interval]:
    speed = place.speed
    return speed.rows_per_s, speed.rows_per_s_interval or (speed.rows_per_s, speed.rows_per_s)


def _take_size(place: Place) -> tuple[float, Interval]:
    size_mb = place.size_bytes / 1e6
    return size_mb, (size_mb, size_mb)


def _draw(
    places: Sequence[Place],
    metric: str,
    cost_of: Callable[[Place], tuple[float, Interval]],
    title: str,
    make_axis: Callable[[str, Sequence[float]], Axis],
) -> Markup:
    lines = [line for place in places for line in _draw_place(place, *cost_of(place))]
    heights = [height for line in lines for _, height in line.points]
    y = make_linear_axis(f"{metric}, 95 % interval", heights, from_zero=False)
    x = make_axis(title, [1.05 * cost_of(place)[1][1] for place in places])
    return draw_both(lambda width_px: draw_lines(x, y, lines, width_px=_half(width_px), rule=None))


def _draw_place(place: Place, cost: float, costs: Interval) -> list[Line]:
    value, (low, high) = place.quality.value, place.quality.interval
    across = [[(end, value) for end in costs]] if costs[0] < costs[1] else []
    counts = place.compared.detectable if place.compared else 0.0
    around = [[(cost, value - counts), (cost, value + counts)]] if counts else []
    return [
        *(Line(points=points, colour=place.colour, has_caps=True) for points in around),
        *(
            Line(points=points, colour=place.colour, is_dotted=bool(place.state))
            for points in ([(cost, low), (cost, high)], *across)
        ),
        Line(
            points=[(cost, value)],
            colour=place.colour,
            marks=[not place.state],
            titles=[place.figures],
        ),
    ]


def _half(width_px: int) -> int:
    return width_px // 2 if width_px > 400 else width_px
