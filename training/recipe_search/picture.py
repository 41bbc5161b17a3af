"""What a search found, as one picture: scores by trial and by field, how trials went, and which fields matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.recipe_search.space import Dimension, Range
from training.recipe_search.study import Found, Outcome, find_best

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_PRUNED: dict[str, Any] = {"marker": "x", "color": "grey", "label": "given up"}


def draw_search(found: Found, space: Sequence[Dimension], path: Path) -> None:
    """Draw all trials that were validated at least once."""
    from matplotlib.figure import Figure  # slow to import

    panels: list[Any] = [_draw_history, _draw_validations]
    panels += [lambda axes, shown, one=one: _draw_field(axes, shown, one) for one in space]
    if found.importances:
        panels.append(lambda axes, shown: _draw_importances(axes, found.importances))
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(4 * _COLUMNS, 3 * rows), layout="constrained")
    all_axes = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    shown = [outcome for outcome in found.outcomes if outcome.validations]
    for axes, draw in zip(all_axes, panels, strict=False):
        draw(axes, shown)
    for axes in all_axes[len(panels) :]:
        axes.axis("off")
    figure.savefig(path, dpi=120)


def _draw_history(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    complete, pruned = _split([(number, outcome) for number, outcome in enumerate(outcomes)])
    axes.scatter(*complete, label="complete")
    if pruned[0]:
        axes.scatter(*pruned, **_PRUNED)
    best, bests = float("-inf"), []
    for outcome in outcomes:
        best = max(best, outcome.score if outcome.score is not None else best)
        bests.append(best)
    axes.step(range(len(bests)), bests, where="post", label="best so far")
    _count_along(axes)
    axes.set_xlabel("trial")
    axes.set_ylabel("score")
    axes.legend(fontsize=7)


def _draw_validations(axes: Axes, outcomes: Sequence[Outcome]) -> None:
    best = find_best(outcomes)
    for outcome in outcomes:
        points = outcome.validations.items()
        style: dict[str, Any] = (
            {"color": "tab:blue", "alpha": 0.4} if outcome.state == "complete" else {"color": "grey", "alpha": 0.4}
        )
        if outcome is best:
            style = {"color": "tab:red", "label": f"best, {outcome.run.name}"}
        axes.plot(*zip(*points, strict=True), **style)
    _count_along(axes)
    axes.set_xlabel("validation")
    axes.set_ylabel("score")
    axes.legend(fontsize=7)


def _draw_field(axes: Axes, outcomes: Sequence[Outcome], dimension: Dimension) -> None:
    values = [outcome.values[dimension.field] for outcome in outcomes]
    if isinstance(dimension, Range):
        places = [float(value) for value in values]
        if dimension.log:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter("")
        elif dimension.whole:
            _count_along(axes)
    else:
        places = [float(dimension.values.index(value)) for value in values]
        axes.set_xticks(range(len(dimension.values)), dimension.values)
    complete, pruned = _split(list(zip(places, outcomes, strict=True)))
    axes.scatter(*complete)
    if pruned[0]:
        axes.scatter(*pruned, **_PRUNED)
    axes.set_xlabel(dimension.field)
    axes.set_ylabel("score")


def _draw_importances(axes: Axes, importances: Mapping[str, float]) -> None:
    names = list(importances)[::-1]
    axes.barh(names, [100 * importances[name] for name in names])
    axes.set_xlabel("share of the scores' variance, %")


def _count_along(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _split(points: Sequence[tuple[Any, Outcome]]) -> tuple[tuple[list, list], tuple[list, list]]:
    """Abscissae and last scores of trials that came to their end, and of those that did not."""
    parts = []
    for complete in (True, False):
        of_part = [(place, outcome) for place, outcome in points if (outcome.score is not None) == complete]
        parts.append(([place for place, _ in of_part], [list(one.validations.values())[-1] for _, one in of_part]))
    return parts[0], parts[1]
