"""A table of recipes, trained alike: plain, denoising, sparse and variational, beside principal components.

train autoencoder comparison --preset demo
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.autoencoder.baselines import PrincipalComponents
from training.autoencoder.data import CodedData, load_data
from training.autoencoder.evaluate import COMPONENTS, EVALUATION, GIVEN, NETWORK, score_methods
from training.autoencoder.network import load_network
from training.autoencoder.program import answer_images
from training.autoencoder.recipe import PRESETS, Recipe
from training.autoencoder.scores import explained_share
from training.autoencoder.session import train
from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import train_all
from training.release.statistics import paired_bootstrap

_NOISE = 0.3


def list_recipes(common: Recipe) -> dict[str, Recipe]:
    """Recipes by name; the first is what the others are held to."""
    plain = replace(common, corruption_level=0.0, sparsity_weight=0.0, beta=0.0)
    return {
        "plain": plain,
        "denoising": replace(plain, corruption_level=common.corruption_level or _NOISE),
        "sparse": replace(plain, sparsity_weight=common.sparsity_weight or PRESETS["sparse"].sparsity_weight),
        "vae": replace(plain, beta=1.0),
        "beta-vae": replace(plain, beta=common.beta or PRESETS["beta-vae"].beta),
    }


def score_recipes(runs: Mapping[str, Path], data: CodedData, spoilt: CodedData) -> dict[str, list[np.ndarray]]:
    """Scores [N, 2] of every run and of the baselines, on the test images as they are and spoilt."""
    networks = {name: load_network(run)[0] for name, run in runs.items()}
    code_size = next(iter(networks.values())).decoder.latent_size
    components = PrincipalComponents(data.images.train.images, code_size)
    scores: dict[str, list[np.ndarray]] = {}
    for each in (data, spoilt):
        found = {name: answer_images(network, each.seen_test).reconstruction for name, network in networks.items()}
        found[COMPONENTS] = components.decode(components.encode(each.seen_test))
        found[GIVEN] = each.seen_test.numpy()
        for name, rows in score_methods(found, data).items():
            scores.setdefault(name, []).append(rows)
    return scores


def format_table(runs: Mapping[str, Path], scores: Mapping[str, list[np.ndarray]]) -> str:
    """Write what each recipe reaches as a Markdown table; in brackets the 95 % interval of first − row, paired."""
    lines = [
        "| recipe | explained | explained of spoilt images | probe | collages found: area | sparsity | parameters "
        "| training s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    first = scores[next(iter(runs))]
    baseline = json.loads((runs[next(iter(runs))] / EVALUATION).read_text())
    for name, pair in scores.items():
        cells = [_format_figure(rows, other) for rows, other in zip(pair, first, strict=True)]
        if name in runs:
            found = json.loads((runs[name] / EVALUATION).read_text())
            probe = found["methods"][NETWORK].get("probe_accuracy")
            cells += [_format_share(probe), f"{found['unusual']['collage']['area_under_curve']['value']:.3f}"]
            cells += [f"{found['code']['sparsity'][NETWORK]:.2f}"]
            cells += format_cost(load_network(runs[name])[0], runs[name])
        elif name == COMPONENTS:
            cells += [_format_share(baseline["methods"][COMPONENTS].get("probe_accuracy"))]
            cells += [f"{baseline['unusual']['collage'][COMPONENTS]['value']:.3f}"]
            cells += [f"{baseline['code']['sparsity'][COMPONENTS]:.2f}", "–", "–"]
        else:
            cells += ["–"] * 5
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _format_figure(rows: np.ndarray, first: np.ndarray) -> str:
    value = f"{explained_share(rows):.4f}"
    if rows is first:
        return value
    low, high, _ = paired_bootstrap(first, rows, explained_share)
    return f"{value} ({low:+.4f} … {high:+.4f})"


def _format_share(figure: Mapping[str, float] | None) -> str:
    return "–" if figure is None else f"{figure['value']:.1%}"


def compare_all(
    preset: Annotated[str, typer.Option(help=f"Common recipe: {', '.join(PRESETS)}.")] = "demo",
    data: Annotated[str, typer.Option(help="Data set, as for `train autoencoder`; the preset's if empty.")] = "",
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/autoencoder/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train every recipe on one data set; print what comes back of clean and of spoilt images, and how codes serve."""
    common = override_preset(PRESETS, preset, changes or ())
    recipes, source = list_recipes(common), data or common.data
    options = TrainOptions(model="autoencoder", preset="", data=source, data_root=data_root, out=out, seed=seed)
    runs = train_all(recipes, options, train)
    clean, spoilt = (load_data(source, data_root, recipes[name]) for name in ("plain", "denoising"))
    table = format_table(runs, score_recipes(runs, clean, spoilt))
    (out / "comparison.md").write_text(table)
    typer.echo(table)
