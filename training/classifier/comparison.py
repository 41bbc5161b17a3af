"""A table of networks, trained alike and tested on the same images: `train classifier comparison`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from training.classifier.recipe import DEIT, DEPTHWISE, PRESETS, RESNET18, VIT, Recipe
from training.classifier.servable import load_program
from training.classifier.session import train
from training.engine.cost import count_parameters
from training.engine.device import limit_threads
from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import read_run, train_all
from training.labels.difference import compare_rows, read_right
from training.release.statistics import wilson_interval

FIRST = "compact"
# What belongs to a network and its optimizer; everything else is the same for all.
_OWN_FIELDS = (
    *("network", "teacher_weight", "teacher_answers", "patch_px", "stem", "token_width", "num_layers", "num_heads"),
    *("lr", "matrix_lr", "weight_decay", "schedule", "warmup_fraction", "clip_norm"),
)
_OTHERS = {"resnet18": RESNET18, "plain18": RESNET18, "depthwise": DEPTHWISE, "vit": VIT, "deit": DEIT}
_COMMON = {name: recipe for name, recipe in PRESETS.items() if recipe.network == FIRST}
_TIMED_ROWS, _TIMED_BATCHES = 32, 5


def list_recipes(common: Recipe, teacher: Path) -> dict[str, Recipe]:
    """Recipes of all networks by name, alike but for what a network needs; the run `teacher` teaches deit.

    Rates are those of the networks' presets, in proportion to the images in a step.
    """
    recipes = {FIRST: common}
    for name, preset in _OTHERS.items():
        own = {field: getattr(preset, field) for field in _OWN_FIELDS} | {"network": name}
        own["lr"] = preset.lr * min(1.0, common.batch_size / preset.batch_size)
        if name == "deit":
            own["teacher"] = str(teacher)
        recipes[name] = replace(common, **own)
    return recipes


def format_table(runs: Mapping[str, Path]) -> str:
    """Describe finished runs as a Markdown table; differences in accuracy and McNemar's test are against the first."""
    right = {name: read_right(run)[0] for name, run in runs.items()}
    first = next(iter(right.values()))
    lines = [
        "| network | accuracy | − first, in points | McNemar p | training s | parameters | rows/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, run in runs.items():
        low, high = wilson_interval(int(right[name].sum()), len(first))
        cells = [f"{100 * right[name].mean():.2f} % ({100 * low:.2f} … {100 * high:.2f})", "–", "–"]
        if right[name] is not first:
            result = compare_rows(first, right[name])
            low, high = result.interval
            cells[1] = f"{100 * result.difference:+.2f} ({100 * low:+.2f} … {100 * high:+.2f})"
            cells[2] = f"{result.p_value:.3g}"
        num_parameters, rows_per_s = measure_network(run)
        cells += [f"{read_run(run)['metrics']['train_s']:.0f}", f"{num_parameters:,}", f"{rows_per_s:,.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def measure_network(run: Path) -> tuple[int, float]:
    """Count a run's parameters and its rows/s: one thread, 32 rows at a time, the best of five, as it was trained."""
    program, _, stored = load_program(run)
    images = torch.zeros((_TIMED_ROWS, *stored["shape"]), dtype=torch.uint8)
    times_s = []
    with torch.no_grad(), limit_threads(1):
        program(images)
        for _ in range(_TIMED_BATCHES):
            started = time.perf_counter()
            program(images)
            times_s.append(time.perf_counter() - started)
    return count_parameters(program), _TIMED_ROWS / min(times_s)


def compare_all(
    networks: Annotated[str, typer.Option(help="Networks with commas, the first is what the others are held to.")] = (
        ",".join((FIRST, *_OTHERS))
    ),
    preset: Annotated[str, typer.Option(help=f"Common recipe: {', '.join(_COMMON)}.")] = "demo",
    data: Annotated[
        str | None, typer.Option(help="Data set, as for `train classifier`.", show_default="its own")
    ] = None,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/classifier/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train networks on one data set; print what each reaches, at which cost."""
    if preset not in _COMMON:
        raise ValueError(f"no common recipe {preset!r}; there are: {', '.join(_COMMON)}")
    common = override(_COMMON[preset], changes or ())
    recipes = list_recipes(common, teacher=out / FIRST)
    names = networks.split(",")
    if unknown := [name for name in names if name not in recipes]:
        raise ValueError(f"unknown network {unknown[0]!r}; there are: {', '.join(recipes)}")
    options = TrainOptions(
        model="classifier", preset="", data=data or common.data, data_root=data_root, out=out, seed=seed
    )
    runs = train_all({name: override(recipes[name], changes or ()) for name in names}, options, train)
    table = format_table(runs)
    (out / "comparison.md").write_text(table)
    typer.echo(table)
