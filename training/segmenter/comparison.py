"""A table of recipes, trained alike: with and without skips, both tasks and each alone, losses added in two ways.

train segmenter comparison --preset demo
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import read_arrays, train_all
from training.labels.difference import compare_rows
from training.release.statistics import paired_bootstrap
from training.segmenter.data import SHAPES
from training.segmenter.evaluate import MASK_METRICS, PREDICTIONS
from training.segmenter.network import load_network
from training.segmenter.recipe import PRESETS, Recipe
from training.segmenter.session import train


def list_recipes(common: Recipe) -> dict[str, Recipe]:
    """Recipes by name; the first is what the others are held to."""
    first = replace(common, skips=True, tasks="both", weighting="uncertainty")
    return {
        "both tasks, by uncertainty": first,
        "both tasks, fixed weights": replace(first, weighting="fixed"),
        "mask alone": replace(first, tasks="mask"),
        "label alone": replace(first, tasks="label"),
        "without skips": replace(first, skips=False),
    }


def format_table(runs: Mapping[str, Path]) -> str:
    """Describe finished runs as a Markdown table; in brackets the 95 % interval of first − row, paired."""
    first, *_ = (read_arrays(run, PREDICTIONS) for run in runs.values())
    lines = [
        f"| recipe | {' | '.join(MASK_METRICS)} | accuracy | parameters | training s |",
        f"|---|{'---|' * (len(MASK_METRICS) + 3)}",
    ]
    for place, (name, run) in enumerate(runs.items()):
        own, cells = read_arrays(run, PREDICTIONS), []
        for aggregate in MASK_METRICS.values():
            if "counts" not in own:
                cells.append("–")
                continue
            bounds = paired_bootstrap(first["counts"], own["counts"], aggregate)[:2] if place else None
            cells.append(_format_figure(aggregate(own["counts"]), bounds))
        if "right" in own:
            bounds = compare_rows(own["right"], first["right"]).interval if place else None
            cells.append(_format_figure(float(own["right"].mean()), bounds))
        else:
            cells.append("–")
        network, _, _ = load_network(run)
        cells += format_cost(network, run)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _format_figure(value: float, bounds: tuple[float, float] | None) -> str:
    return f"{value:.4f}" + ("" if bounds is None else f" ({bounds[0]:+.4f} … {bounds[1]:+.4f})")


def compare_all(
    preset: Annotated[str, typer.Option(help=f"Common recipe: {', '.join(PRESETS)}.")] = "demo",
    data: Annotated[str, typer.Option(help="Data set, as for `train segmenter`.")] = SHAPES,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/segmenter/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train a U-Net on both tasks and on each alone, and one without skips; print what each reaches."""
    recipes = list_recipes(override_preset(PRESETS, preset, changes or ()))
    common = TrainOptions(model="segmenter", preset="", data=data, data_root=data_root, out=out, seed=seed)
    runs = train_all(recipes, common, train)
    table = format_table(runs)
    (out / "comparison.md").write_text(table)
    typer.echo(table)
