"""Comparisons: whether one generator is better than another, and a table of four kinds, all seen by the same judge.

python -m training.gan.comparison --data fashion-mnist --data-root data --out runs/gan/comparison --set judge=RUN
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import read_run, train_or_resume
from training.gan.distances import FrechetReference, Projection, bootstrap_difference
from training.gan.pictures import place_side_by_side
from training.gan.recipe import CONDITIONAL, DCGAN, VAE, WGAN_GP, Recipe

RECIPES: dict[str, Recipe] = {"full": CONDITIONAL, "dcgan": DCGAN, "wgan-gp": WGAN_GP, "vae": VAE}
COLUMNS = (
    *("frechet", "kernel_distance", "inception_score", "precision", "recall", "density", "coverage"),
    *("label_fidelity", "classification_accuracy_score", "probe_accuracy"),
)
_NUM_COMPONENTS = 64
_REPEATS = 500


def compare_generators(first: Path, second: Path) -> str:
    """Report the Fréchet distances of two runs, and the difference with its bootstrap interval.

    Both runs must have been judged by the same classifier (`--set judge=RUN`): distances are about its features.
    The interval is found on leading principal components of the features, where a bootstrap is affordable.

    Raises:
        ValueError: the runs were judged by different classifiers, or on different test images.
        FileNotFoundError: a run did not finish.
    """
    features = [_load_features(run) for run in (first, second)]
    real = features[0]["real"]
    if real.shape != features[1]["real"].shape or not np.allclose(real, features[1]["real"], atol=1e-2, rtol=1e-2):
        raise ValueError(
            f"{first} and {second} were judged by different classifiers or on different data; train both with the same "
            "--data and the same --set judge=RUN"
        )
    lines = [f"Fréchet distance to {len(real)} real test images, as the same judge sees them"]
    reference = FrechetReference(real)
    for run, rows in zip((first, second), features, strict=True):
        figures = json.loads((run / "evaluation.json").read_text())
        distance = reference.distance(rows["generated"])
        lines.append(f"  {run}: {distance:.4g} (floor {figures['frechet_floor']:.4g}, n {len(rows['generated'])})")
    project = Projection(real, _NUM_COMPONENTS)
    difference, (low, high) = bootstrap_difference(
        project(features[0]["generated"]), project(features[1]["generated"]), project(real), repeats=_REPEATS, seed=0
    )
    verdict = "they differ" if low > 0 or high < 0 else "no difference is shown"
    lines.append(
        f"second minus first, on {project.axes.shape[1]} principal components: {difference:+.4g} "
        f"(95 % interval {low:+.4g} … {high:+.4g}): {verdict}"
    )
    return "\n".join(lines)


def _load_features(run: Path) -> dict[str, np.ndarray]:
    read_run(run)
    path = run / "features.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{run} has no features.npz: the training did not finish; continue it with --resume")
    with np.load(path) as file:
        return {name: file[name] for name in ("generated", "real")}


def train_all(recipes: dict[str, Recipe], data: str, data_root: Path, out: Path, seed: int) -> list[Path]:
    """Train every recipe on the same data, before the same judge; a run that `out` holds is finished, not begun anew.

    Where no recipe names a judge, the first run's serves all.
    """
    from training.gan.session import train_generator

    runs: list[Path] = []
    for name, recipe in recipes.items():
        if runs and not recipe.judge:
            recipe = replace(recipe, judge=str(runs[0] / "judge"))
        options = TrainOptions(model="gan", preset=name, data=data, data_root=data_root, out=out / name, seed=seed)
        runs.append(train_or_resume(recipe, options, train_generator))
    return runs


def format_table(runs: Sequence[Path]) -> str:
    """Describe finished runs as a Markdown table, one row for each, and the floor in the last."""
    figures = [json.loads((run / "evaluation.json").read_text()) for run in runs]
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


def main(
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
    differences = [compare_generators(runs[0], run) for run in runs[1:]]
    report = "\n".join([format_table(runs), *differences, ""])
    (out / "comparison.md").write_text(report)
    place_side_by_side([run / "samples.png" for run in runs], out / "comparison.png")
    typer.echo(report)


if __name__ == "__main__":
    typer.run(main)
