"""A table of networks, trained alike and tested on the same windows beside the baselines.

train forecaster comparison --set steps=1000
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import typer

from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import train_all
from training.forecaster.data import GENERATED, load_data
from training.forecaster.evaluate import NAIVE, NETWORK, Figure, compare_methods, forecast_baselines
from training.forecaster.network import load_network
from training.forecaster.program import forecast_network
from training.forecaster.recipe import PRESETS
from training.forecaster.scores import score_steps
from training.forecaster.session import train
from training.sequences.patch_encoders import NetworkName

NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)


def compare_networks(runs: Mapping[str, Path], data: str, data_root: Path) -> list[Figure]:
    """Measure all networks and baselines on the test windows, each paired with the first network."""
    networks = {name: load_network(run) for name, run in runs.items()}
    recipe = next(iter(networks.values()))[1]
    loaded = load_data(data, data_root, recipe)
    forecasts: dict[str, np.ndarray] = {
        name: forecast_network(network, loaded.test.history) for name, (network, _) in networks.items()
    }
    forecasts |= forecast_baselines(loaded, recipe)
    scores = {name: score_steps(quantiles, loaded.test, recipe.levels) for name, quantiles in forecasts.items()}
    first = next(iter(scores))
    return compare_methods({NETWORK: scores.pop(first)} | scores, loaded.test.cluster)


def format_table(figures: list[Figure], runs: Mapping[str, Path]) -> str:
    """Write each method's figures as a Markdown table; in brackets the interval of the first network − row."""
    found = {(figure.method, figure.metric): figure for figure in figures}
    first = next(iter(runs))
    lines = [
        "| method | pinball | MASE | coverage | saved | parameters | training s |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(figure.method for figure in figures):
        name = first if method == NETWORK else method
        cells = [_format_figure(found[method, metric]) for metric in ("pinball", "mase")]
        saved = 100 * (1 - found[method, "pinball"].value / found[NAIVE, "pinball"].value)
        cells += [f"{found[method, 'coverage'].value:.1%}", f"{saved:.1f} %"]
        if name in runs:
            network, _ = load_network(runs[name])
            cells += format_cost(network, runs[name])
        else:
            cells += ["–", "–"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _format_figure(figure: Figure) -> str:
    bounds = "" if figure.difference is None else f" ({figure.difference[1]:+.4f} … {figure.difference[2]:+.4f})"
    return f"{figure.value:.4f}{bounds}"


def compare_all(
    preset: Annotated[str, typer.Option(help="Recipe in which only the network is changed.")] = "full",
    data: Annotated[str, typer.Option(help="Data set, as for `train forecaster`.")] = GENERATED,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/forecaster/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train every network on one data set; print what each reaches, and by how much the first is better."""
    recipe = override_preset(PRESETS, preset, changes or ())
    common = TrainOptions(model="forecaster", preset="", data=data, data_root=data_root, out=out, seed=seed)
    runs = train_all({name: replace(recipe, network=name) for name in NETWORKS}, common, train)
    table = format_table(compare_networks(runs, data, data_root), runs)
    (out / "comparison.md").write_text(table)
    typer.echo(table)
