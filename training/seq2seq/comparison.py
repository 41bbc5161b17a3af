"""A table of networks, trained alike on the same data: `train seq2seq comparison`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.engine.cost import count_parameters
from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import read_run, train_or_resume
from training.seq2seq.difference import read_translations
from training.seq2seq.evaluate import choose_measure
from training.seq2seq.recipe import DEMO, Recipe
from training.seq2seq.servable import load_network
from training.seq2seq.session import train

_RECURRENT = replace(DEMO, num_layers=1, lr=2e-3, clip_norm=1.0, precision="fp32")
RECIPES: dict[str, Recipe] = {
    "transformer": replace(DEMO, pre_norm=False),
    "transformer, pre-norm": DEMO,
    "rnn, additive": replace(_RECURRENT, network="rnn"),
    "gru, additive": replace(_RECURRENT, network="gru"),
    "lstm, additive": replace(_RECURRENT, network="lstm"),
    "lstm, multiplicative": replace(_RECURRENT, network="lstm", attention="multiplicative"),
    "lstm, scheduled sampling": replace(_RECURRENT, network="lstm", sampling=0.25),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `quality` is the task's measure, `long` the half of the texts with longer references."""

    name: str
    num_parameters: int
    measure: str
    quality: float
    quality_short: float
    quality_long: float
    exact_match: float
    train_s: float
    sentences_per_s: float


def train_rows(recipes: dict[str, Recipe], data: str, data_root: Path, out: Path, seed: int) -> list[Row]:
    """Train every recipe on the same data from the same seed, or go on with it, and describe the results."""
    rows = []
    for name, recipe in recipes.items():
        run = out / name.replace(", ", "-").replace(" ", "-")
        options = TrainOptions(model="seq2seq", preset=name, data=data, data_root=data_root, out=run, seed=seed)
        rows.append(describe_row(name, train_or_resume(recipe, options, train)))
    return rows


def describe_row(name: str, run: Path) -> Row:
    """Read a finished run into a line of the table, and time its translation."""
    network, recipe, _ = load_network(run)
    text = next(iter(read_translations(run).values()))
    measure = choose_measure(recipe)
    counts = measure.count(text["translations"], text["references"])
    lengths = np.array([len(reference.split()) for reference in text["references"]])
    is_long = lengths > np.median(lengths)
    metrics = read_run(run)["metrics"]
    return Row(
        name=name,
        num_parameters=count_parameters(network),
        measure=measure.name,
        quality=measure.aggregate(counts),
        quality_short=measure.aggregate(counts[~is_long]),
        quality_long=measure.aggregate(counts[is_long]),
        exact_match=metrics["exact_match"],
        train_s=metrics["train_s"],
        sentences_per_s=metrics["n"] / metrics["translate_s"],
    )


def format_table(rows: Sequence[Row]) -> str:
    """Write rows, one at least, as a Markdown table."""
    lines = [
        f"| network | parameters | {rows[0].measure} | short | long | exact match | training s | sentences/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.num_parameters:,} | {row.quality:.2f} | {row.quality_short:.2f} | "
        f"{row.quality_long:.2f} | {row.exact_match:.1%} | {row.train_s:.0f} | {row.sentences_per_s:.1f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def compare_all(
    data: Annotated[str, typer.Option(help="Data set, as for `train seq2seq`.")] = "phrases",
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path("runs/seq2seq/comparison"),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train every network of this file on one data set and print the table."""
    started = time.monotonic()
    recipes = {name: override(recipe, changes or ()) for name, recipe in RECIPES.items()}
    table = format_table(train_rows(recipes, data, data_root, out, seed))
    (out / "comparison.md").write_text(table)
    typer.echo(f"{table}\n{time.monotonic() - started:.0f} s")
