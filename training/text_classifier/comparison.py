"""A table of networks, trained alike and tested on the same texts beside a bag of words.

train text_classifier comparison --preset demo
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import train_all
from training.labels.difference import read_right
from training.labels.table import format_table
from training.text_classifier.baselines import predict_by_words
from training.text_classifier.data import load_data
from training.text_classifier.evaluate import WORDS
from training.text_classifier.network import load_network
from training.text_classifier.recipe import PRESETS, Network
from training.text_classifier.session import train

NETWORKS: tuple[Network, ...] = ("transformer", "lstm")


def compare_all(
    preset: Annotated[str, typer.Option(help="Recipe in which only the network is changed.")] = "demo",
    data: Annotated[
        str | None, typer.Option(help="Data set, as for `train text_classifier`.", show_default="the preset's")
    ] = None,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/text_classifier/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train a Transformer and an LSTM on one data set; print what each and a bag of words reach."""
    recipe = replace(
        override_preset(PRESETS, preset, changes or ()), weights_folder=None, low_rank=0, network=NETWORKS[0]
    )
    source = data or recipe.data
    common = TrainOptions(model="text_classifier", preset="", data=source, data_root=data_root, out=out, seed=seed)
    runs = train_all({name: replace(recipe, network=name) for name in NETWORKS}, common, train)
    loaded = load_data(source, data_root, validation_fraction=recipe.validation_fraction)
    right = {name: read_right(run)[0] for name, run in runs.items()}
    right[WORDS] = predict_by_words(loaded) == loaded.test.labels.numpy()
    table = format_table(right, {name: format_cost(load_network(run)[0], run) for name, run in runs.items()})
    (out / "comparison.md").write_text(table)
    typer.echo(table)
