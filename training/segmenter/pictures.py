"""Pictures of an evaluation: some test images with their masks, and IoU by class and method.

Dimensions: N images, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.segmenter.data import SceneData
from training.segmenter.scenes import VOID

_NUM_SHOWN = 8


def draw_all(
    run: Path, data: SceneData, masks: Mapping[str, np.ndarray], methods: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draw every picture into the run's folder."""
    draw_masks(data, masks, run / "masks.png")
    draw_iou(methods, data.classes, run / "iou_by_class.png")


def draw_masks(data: SceneData, masks: Mapping[str, np.ndarray], path: Path) -> None:
    """Images in the first row, below them their true masks and those [N, H, W] of each method."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation
    from matplotlib.patches import Patch

    chosen = np.linspace(0, len(data.test) - 1, min(_NUM_SHOWN, len(data.test))).round().astype(int)
    truth = np.where(data.test.masks.numpy() == VOID, 0, data.test.masks.numpy())
    rows = {"true": truth} | dict(masks)
    colours = _choose_colours(len(data.classes))
    figure = Figure(figsize=(1.6 * len(chosen), 1.7 * (len(rows) + 1) + 0.6), layout="constrained")
    axes = figure.subplots(len(rows) + 1, len(chosen), squeeze=False)
    for column, row in enumerate(chosen):
        axes[0, column].imshow(data.test.images[row].numpy())
        for place, found in enumerate(rows.values(), 1):
            axes[place, column].imshow(
                found[row], cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, interpolation="nearest"
            )
    for place, name in enumerate(("image", *rows)):
        axes[place, 0].set_ylabel(name)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    handles = [Patch(facecolor=colour, label=name) for colour, name in zip(colours, data.classes, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)))
    figure.savefig(path, dpi=100)


def draw_iou(methods: Mapping[str, Mapping[str, Any]], classes: tuple[str, ...], path: Path) -> None:
    """IoU of each class as bars with 95 % intervals, one colour for each method that makes masks."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    drawn = {method: found["classes"] for method, found in methods.items() if "classes" in found}
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(drawn)
    for place, (method, found) in enumerate(drawn.items()):
        figures = [found[name]["iou"] if name in found else {"value": 0.0, "interval": (0.0, 0.0)} for name in classes]
        values = np.array([each["value"] for each in figures])
        low, high = np.array([each["interval"] for each in figures]).T
        axes.bar(
            np.arange(len(classes)) + place * width,
            values,
            width,
            yerr=np.maximum([values - low, high - values], 0),
            label=method,
            error_kw={"linewidth": 0.8},
        )
    axes.set_xticks(np.arange(len(classes)) + width * (len(drawn) - 1) / 2, classes)
    axes.set(ylabel="IoU", ylim=(0, 1))
    axes.grid(alpha=0.3, axis="y")
    axes.legend()
    figure.savefig(path, dpi=100)


def _choose_colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    palette = colormaps["tab10"] if count <= 11 else colormaps["turbo"].resampled(count)
    return ["#222222", *(palette(number) for number in range(count - 1))]
