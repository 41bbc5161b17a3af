"""A table of five kinds of generator, trained alike and seen by the same judge: `train gan comparison`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import read_run, read_stop, train_or_resume
from training.gan.health import CollapsedError
from training.gan.recipe import CONDITIONAL, DCGAN, STYLE, VAE, WGAN_GP, Recipe
from training.gan.session import SAMPLES, train
from training.images.assessment import EVALUATION
from training.images.difference import compare_runs
from training.images.grids import place_side_by_side

RECIPES: dict[str, Recipe] = {"full": CONDITIONAL, "dcgan": DCGAN, "wgan-gp": WGAN_GP, "style": STYLE, "vae": VAE}
COLUMNS = (
    *("frechet", "kernel_distance", "inception_score", "precision", "recall", "density", "coverage"),
    *("label_fidelity", "classification_accuracy_score", "probe_accuracy"),
)


def train_all(recipes: dict[str, Recipe], data: str, data_root: Path, out: Path, seed: int) -> list[Path]:
    """Train every recipe on the same data, before the same judge; a run that `out` holds is finished, not begun anew.

    Where no recipe names a judge, the first run's serves all. A run that collapses stays so (`read_stop` says why): it
    would collapse again at the same step.
    """
    runs: list[Path] = []
    for name, recipe in recipes.items():
        if runs and not recipe.judge:
            recipe = replace(recipe, judge=str(runs[0] / "judge"))
        options = TrainOptions(model="gan", preset=name, data=data, data_root=data_root, out=out / name, seed=seed)
        runs.append(options.out)
        if options.out.exists() and read_stop(options.out):
            continue
        with suppress(CollapsedError):
            train_or_resume(recipe, options, train)
    return runs


def format_table(runs: Sequence[Path]) -> str:
    """Describe finished runs as a Markdown table, one row for each, and the floor in the last."""
    figures = [json.loads((run / EVALUATION).read_text()) for run in runs]
    heads = ["run", *COLUMNS, "class shares", "training s"]
    lines = [f"| {' | '.join(head.replace('_', ' ') for head in heads)} |", "|---" * len(heads) + "|"]
    for run, found in zip(runs, figures, strict=True):
        shares = f"{min(found['class_shares']):.1%} … {max(found['class_shares']):.1%}"
        cells = [run.name, *(_cell(found.get(name)) for name in COLUMNS), shares]
        lines.append(f"| {' | '.join([*cells, format(read_run(run)['metrics']['train_s'], '.0f')])} |")
    floor = [_cell(figures[0].get(f"{name}_floor")) for name in COLUMNS]
    return "\n".join([*lines, f"| {' | '.join(['floor', *floor, '–', '–'])} |"]) + "\n"


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}"


def compare_all(
    data: Annotated[str, typer.Option(help="Data set, as for `train gan`.")] = "fashion-mnist",
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs, comparison.md and .png.")] = Path(
        "runs/gan/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train every recipe of this file on one data set; print the table, and draw samples of all side by side."""
    recipes = {name: override(recipe, changes or ()) for name, recipe in RECIPES.items()}
    runs = train_all(recipes, data, data_root, out, seed)
    collapsed = {run: read_stop(run) for run in runs if read_stop(run)}
    finished = [run for run in runs if run not in collapsed]
    parts = [f"{run} was given up: {reason}" for run, reason in collapsed.items()]
    if finished:
        parts = [format_table(finished), *(compare_runs(finished[0], run) for run in finished[1:]), *parts]
        place_side_by_side([run / SAMPLES for run in finished], out / "comparison.png")
    report = "\n".join([*parts, ""])
    (out / "comparison.md").write_text(report)
    typer.echo(report)
