"""A table of Pix2Pix and a network that learns from the absolute error alone, over several seeds, before one judge.

train image_translator comparison --preset demo --seeds 3
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import read_arrays, train_or_resume
from training.image_translator.data import PAINTED
from training.image_translator.evaluate import EVALUATION, MEASURED
from training.image_translator.measurement import METRICS
from training.image_translator.network import load_network
from training.image_translator.recipe import PRESETS, Recipe
from training.image_translator.session import train
from training.release.statistics import paired_bootstrap, student_interval

ADVERSARIAL, L1 = "pix2pix", "l1"


def train_all(recipe: Recipe, common: TrainOptions, num_seeds: int) -> dict[str, list[Path]]:
    """Train both ways from seeds in a row, in folders below `common.out`; the first run's judge serves all."""
    runs: dict[str, list[Path]] = {ADVERSARIAL: [], L1: []}
    judge = recipe.judge
    for seed in range(common.seed, common.seed + num_seeds):
        for name, weight in ((ADVERSARIAL, recipe.adversarial_weight), (L1, 0.0)):
            out = common.out / f"{name}-{seed}"
            chosen = replace(recipe, adversarial_weight=weight, judge=judge)
            runs[name].append(train_or_resume(chosen, replace(common, preset=name, out=out, seed=seed), train))
            judge = judge or str(out / "judge")
    return runs


def format_table(runs: Mapping[str, list[Path]]) -> str:
    """Describe finished runs as a Markdown table; in brackets the 95 % interval of Pix2Pix − L1 of that seed, paired.

    The last rows hold the same difference over seeds: their mean and its interval by Student's t.
    """
    metrics = [metric for metric in METRICS if metric in read_arrays(runs[ADVERSARIAL][0], MEASURED)]
    lines = [f"| run | {' | '.join(metrics)} | parameters | training s |", f"|{'---|' * (len(metrics) + 3)}"]
    differences: dict[str, list[float]] = {metric: [] for metric in metrics}
    for first, second in zip(runs[ADVERSARIAL], runs[L1], strict=True):
        one, other = (read_arrays(run, MEASURED) for run in (first, second))
        cells = []
        for metric in metrics:
            aggregate = METRICS[metric]
            low, high, _ = paired_bootstrap(one[metric], other[metric], aggregate)
            cells.append(f"{aggregate(one[metric]):.4f} ({low:+.4f} … {high:+.4f})")
            differences[metric].append(aggregate(one[metric]) - aggregate(other[metric]))
        lines.append(_format_row(first, cells))
        lines.append(_format_row(second, [f"{METRICS[metric](other[metric]):.4f}" for metric in metrics]))
    for name, figures in read_baselines(runs[ADVERSARIAL][0]).items():
        cells = [format(figures[metric]["value"], ".4f") for metric in metrics]
        lines.append(f"| {name} | {' | '.join(cells)} | – | – |")
    if len(runs[ADVERSARIAL]) > 1:
        cells = [_format_seeds(np.array(differences[metric])) for metric in metrics]
        lines.append(f"| pix2pix − l1 over seeds | {' | '.join(cells)} | – | – |")
    return "\n".join(lines) + "\n"


def read_baselines(run: Path) -> dict[str, Any]:
    """What needs no network, by name, as a run's evaluation has it."""
    _, *baselines = json.loads((run / EVALUATION).read_text())["methods"].items()
    return dict(baselines)


def _format_row(run: Path, cells: list[str]) -> str:
    network, _, _ = load_network(run)
    return f"| {run.name} | {' | '.join([*cells, *format_cost(network, run)])} |"


def _format_seeds(differences: np.ndarray) -> str:
    low, high = student_interval(differences)
    return f"{differences.mean():+.4f} ({low:+.4f} … {high:+.4f})"


def compare_all(
    preset: Annotated[str, typer.Option(help=f"Common recipe: {', '.join(PRESETS)}.")] = "demo",
    data: Annotated[str, typer.Option(help="Data set, as for `train image_translator`.")] = PAINTED,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/image_translator/comparison"
    ),
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(help="How often each is trained, each time from the next seed.", min=1)] = 1,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train with and without a discriminator, from the same seeds; print what each reaches before the same judge."""
    recipe = override_preset(PRESETS, preset, changes or ())
    if recipe.method != "paired" or not recipe.adversarial_weight:
        raise typer.BadParameter("this comparison is about pairs and a discriminator: take another preset")
    common = TrainOptions(model="image_translator", preset="", data=data, data_root=data_root, out=out, seed=seed)
    table = format_table(train_all(recipe, common, seeds))
    (out / "comparison.md").write_text(table)
    typer.echo(table)
