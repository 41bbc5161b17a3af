"""Pictures of an evaluation: what comes back, how far images deviate, what each value of a code does, where codes lie.

Dimensions: N images, Z values of a code, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.autoencoder.data import CodedData
from training.autoencoder.network import Autoencoder
from training.autoencoder.program import answer_images, decode_codes
from training.images.evidence import measure_divergence
from training.images.grids import arrange_grid
from training.images.pixels import scale_images
from training.labels.unusual import draw_deviations

_NUM_SHOWN, _NUM_DIMENSIONS, _NUM_STEPS = 10, 12, 9
_MOST_DEVIATIONS = 3.0  # farthest from the middle that a value is moved
_MOST_POINTS = 2000


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A network, its data, what each method made of the test images, and from which deviation on one is unusual."""

    network: Autoencoder
    data: CodedData
    found: Mapping[str, np.ndarray]
    threshold: float


def draw_all(run: Path, drawn: Drawn) -> None:
    """Draw every picture into the run's folder."""
    draw_reconstructions(drawn, run / "reconstructions.png")
    groups = {"usual": drawn.data.seen_test} | drawn.data.unusual
    deviations = {name: answer_images(drawn.network, images).deviation for name, images in groups.items()}
    draw_deviations(deviations, drawn.threshold, "grey levels", run / "deviations.png")
    draw_traversals(drawn, run / "traversals.png")
    draw_map(drawn, run / "map.png")


def draw_reconstructions(drawn: Drawn, path: Path) -> None:
    """Test images in the first row, below them as the network saw them if spoilt, and what each method made of them."""
    test = drawn.data.images.test.images
    rows = {"image": test.numpy()} | {method: images for method, images in drawn.found.items() if method != "as given"}
    if "as given" in drawn.found:
        rows = {"image": rows.pop("image"), "as given": drawn.found["as given"]} | rows
    _draw_rows({name: images[:_NUM_SHOWN] for name, images in rows.items()}, path)


@torch.no_grad()
def find_leading(network: Autoencoder, images_NHWC: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Codes float32 [N, Z], and the places of their values from the one that tells most to the one that tells least."""
    device = next(network.parameters()).device
    code, log_variance = network.encode(scale_images(images_NHWC.to(device)))
    told = code.var(0) if log_variance is None else measure_divergence(code, log_variance).mean(0)
    return code.cpu().numpy(), told.argsort(descending=True).cpu().numpy()


def draw_traversals(drawn: Drawn, path: Path) -> None:
    """What the leading values of a code do to one image: a row for each, in which it alone goes from low to high.

    Those of a variational code go through its prior, the others as far from their mean as test images do.
    """
    codes, leading = find_leading(drawn.network, drawn.data.images.test.images)
    is_variational = drawn.network.is_variational
    middle, spread = (0.0, 1.0) if is_variational else (codes.mean(0), codes.std(0))
    low, high = middle - _MOST_DEVIATIONS * np.asarray(spread), middle + _MOST_DEVIATIONS * np.asarray(spread)
    if drawn.network.threshold is not None:
        low = np.zeros_like(low)
    low, high = np.broadcast_to(low, codes.shape[1:]), np.broadcast_to(high, codes.shape[1:])
    rows = {}
    for place in leading[:_NUM_DIMENSIONS]:
        moved = np.repeat(codes[:1], _NUM_STEPS, 0)
        moved[:, place] = np.linspace(low[place], high[place], _NUM_STEPS)
        rows[f"value {place}"] = decode_codes(drawn.network, moved)
    _draw_rows(rows, path)


def draw_map(drawn: Drawn, path: Path) -> None:
    """Codes of test images on the two axes along which they differ most, a colour for each class."""
    test = drawn.data.images.test
    codes = answer_images(drawn.network, test.images[:_MOST_POINTS]).code.astype(np.float64)
    centred = codes - codes.mean(0)
    _, values, axes_ZZ = np.linalg.svd(centred, full_matrices=False)
    places, shares = centred @ axes_ZZ[:2].T, values**2 / (values**2).sum()
    figure, axes = _make_figure((7, 6))
    labels = test.labels[:_MOST_POINTS].numpy()
    for number, name in enumerate(drawn.data.images.labels):
        if (labels == number).any():
            axes.scatter(*places[labels == number].T, s=8, label=name, color=_choose_colour(number))
    axes.set(xlabel=f"first axis, {shares[0]:.0%} of the variance", ylabel=f"second axis, {shares[1]:.0%}")
    if len(drawn.data.images.labels) <= 20:
        axes.legend(markerscale=2)
    figure.savefig(path, dpi=100)


def _draw_rows(rows: Mapping[str, np.ndarray], path: Path) -> None:
    """Images uint8 [N, H, W, C] in rows, each with its name."""
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    num_columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(num_columns + 0.8, len(rows) + 0.2), layout="constrained")
    # One picture a row: an axis for each image would take as long as a demo's whole evaluation.
    for axis, (name, images) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True):
        line = arrange_grid(images, num_columns)
        axis.imshow(line[:, :, 0] if line.shape[2] == 1 else line, cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[], ylabel=name)
    figure.savefig(path, dpi=100)


def _make_figure(size: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # slow to import, and missing in a small installation

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def _choose_colour(number: int) -> Any:
    from matplotlib import colormaps

    return colormaps["tab20"](number % 20) if number >= 10 else colormaps["tab10"](number)
