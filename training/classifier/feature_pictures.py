"""Pictures of what a finished run's network sees: `train classifier features RUN`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from training.classifier.data import load_data
from training.classifier.program import Program
from training.classifier.restore import restore_network
from training.classifier.visualization import (
    list_convolutions,
    maximize_logits,
    measure_gradient_flow,
    record_feature_maps,
)
from training.engine.runs import read_run

_MOST_LAYERS, _MOST_MAPS, _MOST_FILTERS = 5, 10, 64
_DEPTHS = {3: "20 layers", 9: "56 layers"}


def draw_features(
    run: Annotated[Path, typer.Argument(help="Finished run.")],
    image: Annotated[int, typer.Option(help="Number of the test image whose feature maps are drawn.", min=0)] = 0,
    steps: Annotated[int, typer.Option(help="Steps of the activation maximisation.", min=1)] = 100,
    rows: Annotated[int, typer.Option(help="Training images from which gradients are taken.", min=2)] = 64,
) -> None:
    """Draw a run's first filters, feature maps, an image that each class likes best, and gradients with and without
    shortcuts, into its folder.
    """
    network, normalization, recipe, stored = restore_network(run)
    network.eval().requires_grad_(False)
    record = read_run(run)
    data = load_data(record["data"], Path(record["data_root"]), recipe)
    if image >= len(data.test):
        raise ValueError(f"--image {image}: there are {len(data.test)} test images, counted from 0")
    draw_filters(list_convolutions(network)[0][1].weight, run / "filters.png")
    shown = data.test.images[image : image + 1]
    draw_feature_maps(shown[0], record_feature_maps(network, normalization(shown)), run / "feature_maps.png")
    program = Program(normalization, network, test_flip=False)
    names = tuple(stored["labels"])
    liked = maximize_logits(program, data.shape, len(names), num_steps=steps)
    draw_liked(liked, names, run / "activation_maximisation.png")
    batch = data.train.take(torch.arange(min(rows, len(data.train))))
    flows = {
        (depth, shortcuts): measure_gradient_flow(
            normalization(batch.images), batch.labels, blocks_per_stage=depth, shortcuts=shortcuts
        )
        for depth in _DEPTHS
        for shortcuts in (True, False)
    }
    draw_gradient_flow(flows, run / "gradient_flow.png")
    for (depth, shortcuts), sizes in flows.items():
        kind = "with shortcuts" if shortcuts else "without shortcuts"
        typer.echo(f"{_DEPTHS[depth]} {kind}: gradient of the first layer {sizes[0] / sizes[-1]:.3g} times the last's")
    typer.echo(f"{run}: filters.png, feature_maps.png, activation_maximisation.png, gradient_flow.png")


def draw_filters(weight_OCHW: Tensor, path: Path) -> None:
    """Draw the first layer's filters, the mean over their input channels, all on one scale around 0."""
    filters = weight_OCHW.mean(1)[:_MOST_FILTERS].numpy()
    num_columns = min(8, len(filters))
    figure, axes = _make_panels(-(-len(filters) // num_columns), num_columns, 0.9)
    bound = float(np.abs(filters).max())
    for axis, pixels in zip(axes, filters, strict=False):
        axis.imshow(pixels, cmap="RdBu", vmin=-bound, vmax=bound)
    figure.savefig(path, dpi=120)


def draw_feature_maps(image_HWC: Tensor, maps: Mapping[str, Tensor], path: Path) -> None:
    """Draw an image and what some layers answer to it, a row for each, spread from the first to the last."""
    chosen = np.unique(np.linspace(0, len(maps) - 1, min(_MOST_LAYERS, len(maps))).round().astype(int))
    names = [list(maps)[index] for index in chosen]
    figure, axes = _make_panels(len(names), _MOST_MAPS + 1, 1.0)
    for row, name in enumerate(names):
        panels = axes[row * (_MOST_MAPS + 1) : (row + 1) * (_MOST_MAPS + 1)]
        _show(panels[0], image_HWC)
        panels[0].set_title(name, fontsize=6)
        for axis, pixels in zip(panels[1:], maps[name], strict=False):
            axis.imshow(pixels.numpy(), cmap="viridis")
    figure.savefig(path, dpi=120)


def draw_liked(images_KHWC: Tensor, names: Sequence[str], path: Path) -> None:
    """Draw the image that each class likes best, under its name."""
    num_columns = min(5, len(names))
    figure, axes = _make_panels(-(-len(names) // num_columns), num_columns, 1.6)
    for axis, pixels, name in zip(axes, images_KHWC, names, strict=False):
        _show(axis, pixels)
        axis.set_title(name, fontsize=8)
    figure.savefig(path, dpi=120)


def draw_gradient_flow(flows: Mapping[tuple[int, bool], Sequence[float]], path: Path) -> None:
    """Draw the relative size of gradients over the layers, a panel for each depth."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(_DEPTHS), sharey=True, squeeze=False)[0]
    for axis, (depth, title) in zip(panels, _DEPTHS.items(), strict=True):
        for shortcuts, name in ((True, "with shortcuts"), (False, "without")):
            axis.semilogy(flows[depth, shortcuts], marker=".", label=name)
        axis.set(title=f"{title}, before training", xlabel="3×3 convolution, from the input")
        axis.grid(alpha=0.3)
    panels[0].set_ylabel("‖gradient‖ / ‖weights‖")
    panels[0].legend()
    figure.savefig(path, dpi=120)


def _show(axis: Any, image_HWC: Tensor) -> None:
    if image_HWC.shape[2] == 3:
        axis.imshow(image_HWC.numpy())
    else:
        axis.imshow(image_HWC[..., 0].numpy(), cmap="gray", vmin=0, vmax=255)


def _make_panels(num_rows: int, num_columns: int, size_inches: float) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(size_inches * num_columns, size_inches * num_rows + 0.3), layout="constrained")
    panels = list(figure.subplots(num_rows, num_columns, squeeze=False).flat)
    for axis in panels:
        axis.set_axis_off()
    return figure, panels
