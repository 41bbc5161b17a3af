"""Pictures of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_STYLES = {"network": ("tab:red", "-"), "5-gram": ("tab:gray", ":")}
_NUM_BINS = 32


def draw_bits_by_place(surprises: Mapping[str, np.ndarray], path: Path) -> None:
    """Bits per piece against the pieces read before it, from nats [N, C] by method, averaged over neighbours."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for method, surprise in surprises.items():
        places = np.array_split(np.arange(surprise.shape[1]), min(_NUM_BINS, surprise.shape[1]))
        means = [surprise[:, bin_].mean() / math.log(2) for bin_ in places]
        colour, line = _STYLES[method]
        axis.plot([bin_.mean() for bin_ in places], means, color=colour, linestyle=line, marker=".", label=method)
    axis.axvline(surprise.shape[1] / 2, color="silver", linewidth=0.8)
    axis.annotate("measured from here", (surprise.shape[1] / 2, axis.get_ylim()[1]), fontsize=8, va="top")
    axis.set(xlabel="pieces read before", ylabel="bits per piece")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=100)
