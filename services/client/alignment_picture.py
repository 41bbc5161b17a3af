"""The picture of an alignment: which source pieces each target piece was written from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.client.translation import Alignment


def draw_alignment(alignment: Alignment, path: Path) -> None:
    """Draw the weights as a grid, source pieces along the top, and save it; the suffix decides the format.

    Raises:
        ValueError: the translation is empty.
        ModuleNotFoundError: matplotlib, of the group `train`, is not installed.
    """
    from matplotlib.figure import Figure

    if not alignment.target:
        raise ValueError("the translation is empty: there is no alignment to draw")
    size = (2 + 0.4 * len(alignment.source), 1.5 + 0.35 * len(alignment.target))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.imshow(alignment.weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    tilt: dict[str, Any] = {"rotation": 60, "rotation_mode": "anchor", "ha": "left", "va": "center"}
    # Dollar signs are text here, not mathematics.
    axes.set_xticks(range(len(alignment.source)), map(_show, alignment.source), parse_math=False, **tilt)
    axes.set_yticks(range(len(alignment.target)), map(_show, alignment.target), parse_math=False)
    axes.xaxis.tick_top()
    figure.savefig(path, dpi=120)


def _show(piece: str) -> str:
    return piece.replace("▁", "·")
