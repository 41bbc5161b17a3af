"""A picture of which forms of sentence are understood; the others are those of all labelled kinds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_COLOURS = ("tab:red", "tab:gray")


def draw_forms(forms: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path) -> None:
    """Draw each method's accuracy by form as bars, with 95 % intervals."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    names = sorted(next(iter(forms.values())))
    figure = Figure(figsize=(8, 0.5 * len(names) + 1.5), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(forms)
    for place, ((method, found), colour) in enumerate(zip(forms.items(), _COLOURS, strict=True)):
        values = np.array([found[name]["accuracy"] for name in names])
        low, high = np.array([found[name]["interval"] for name in names]).T
        axes.barh(
            np.arange(len(names)) + place * height,
            values,
            height,
            xerr=np.maximum([values - low, high - values], 0),
            color=colour,
            label=method,
            error_kw={"linewidth": 0.8},
        )
    first = next(iter(forms.values()))
    labels = [f"{name} (n = {first[name]['n']})" for name in names]
    axes.set_yticks(np.arange(len(names)) + height * (len(forms) - 1) / 2, labels)
    axes.invert_yaxis()
    axes.set(xlabel="accuracy", xlim=(0, 1))
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside upper center", ncols=len(forms))
    figure.savefig(path, dpi=100)
