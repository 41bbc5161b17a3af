"""A table of networks, trained alike and tested on the same signals beside simpler methods.

train signal_classifier comparison --preset demo
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer

from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import train_all
from training.labels.difference import read_right
from training.labels.table import format_table
from training.sequences.patch_encoders import NetworkName
from training.signal_classifier.data import load_data
from training.signal_classifier.evaluate import judge_baselines
from training.signal_classifier.network import load_network
from training.signal_classifier.recipe import PRESETS
from training.signal_classifier.session import train
from training.signals.recordings import GENERATED

NETWORKS: tuple[NetworkName, ...] = ("cnn", *(name for name in get_args(NetworkName) if name != "cnn"))


def compare_all(
    preset: Annotated[str, typer.Option(help="Recipe in which only the network is changed.")] = "demo",
    data: Annotated[str, typer.Option(help="Data set, as for `train signal_classifier`.")] = GENERATED,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/signal_classifier/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train every network on one data set; print what each and simpler methods reach."""
    recipe = override_preset(PRESETS, preset, changes or ())
    common = TrainOptions(model="signal_classifier", preset="", data=data, data_root=data_root, out=out, seed=seed)
    runs = train_all({name: replace(recipe, network=name) for name in NETWORKS}, common, train)
    right = {name: read_right(run)[0] for name, run in runs.items()}
    right |= judge_baselines(load_data(data, data_root, recipe), recipe.rate_hz)
    table = format_table(right, {name: format_cost(load_network(run)[0], run) for name, run in runs.items()})
    (out / "comparison.md").write_text(table)
    typer.echo(table)
