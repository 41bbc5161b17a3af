"""The picture of an alignment: which source pieces each target piece was written from."""

from __future__ import annotations

from pathlib import Path

from services.client.translation import Alignment


def draw_alignment(alignment: Alignment, path: Path) -> None:
    """Draw the weights as a grid, source pieces along the top, and save it; the suffix decides the format.

    Raises:
        ModuleNotFoundError: matplotlib, of the group `train`, is not installed.
    """
    from matplotlib.figure import Figure

    size = (2 + 0.4 * len(alignment.source), 1.5 + 0.35 * len(alignment.target))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.imshow(alignment.weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(alignment.source)), [_show(piece) for piece in alignment.source], rotation=60, ha="left")
    axes.set_yticks(range(len(alignment.target)), [_show(piece) for piece in alignment.target])
    axes.xaxis.tick_top()
    figure.savefig(path, dpi=120)


def _show(piece: str) -> str:
    return piece.replace("▁", "·")
