"""Comparisons: whether two runs differ, and a table of networks trained alike on the same data.

python -m training.seq2seq.comparison --data phrases --out runs/seq2seq/comparison --set epochs=4
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import read_run
from training.release.statistics import paired_bootstrap
from training.seq2seq.evaluate import Bleu
from training.seq2seq.recipe import DEMO, Recipe

EVALUATION = "evaluation.json"
TRANSLATIONS = "translations.json"

_RECURRENT = replace(DEMO, num_layers=1, lr=2e-3, clip_norm=1.0, precision="fp32")
RECIPES: dict[str, Recipe] = {
    "transformer": DEMO,
    "transformer, pre-norm": replace(DEMO, pre_norm=True),
    "rnn, additive": replace(_RECURRENT, network="rnn"),
    "gru, additive": replace(_RECURRENT, network="gru"),
    "lstm, additive": replace(_RECURRENT, network="lstm"),
    "lstm, multiplicative": replace(_RECURRENT, network="lstm", attention="multiplicative"),
    "lstm, scheduled sampling": replace(_RECURRENT, network="lstm", sampling=0.25),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `long` is the half of the test sentences with the longer references."""

    name: str
    num_parameters: int
    bleu: float
    bleu_short: float
    bleu_long: float
    exact_match: float
    train_s: float
    sentences_per_s: float


def compare_runs(first: Path, second: Path) -> str:
    """Compare two finished runs' translations of the same test sentences; returns the findings as text.

    Raises:
        FileNotFoundError: a run has no translations because it did not finish.
        ValueError: the runs translated different sentences.
    """
    texts = [_read_translations(run) for run in (first, second)]
    (name, one), (_, other) = (next(iter(text.items())) for text in texts)
    if one["references"] != other["references"]:
        raise ValueError(f"{first} and {second} were evaluated on different sentences; compare runs on the same data")
    bleu = Bleu(all(read_run(run)["recipe"]["lowercase"] for run in (first, second)))
    counts = [bleu.count(text["translations"], one["references"]) for text in (one, other)]
    figures = [bleu.aggregate(count) for count in counts]
    low, high, p_value = paired_bootstrap(counts[1], counts[0], bleu.aggregate)
    verdict = "they differ" if low > 0 or high < 0 else "no difference shown"
    return "\n".join(
        [
            f"{first}: BLEU {figures[0]:.2f} on {len(counts[0])} sentences of {name}",
            f"{second}: BLEU {figures[1]:.2f}",
            f"second − first {figures[1] - figures[0]:+.2f} (95 % interval {low:+.2f} … {high:+.2f}), paired bootstrap "
            f"p = {p_value:.3g}: {verdict}",
            bleu.signature,
        ]
    )


def train_rows(recipes: dict[str, Recipe], data: str, data_root: Path, out: Path, seed: int) -> list[Row]:
    """Train every recipe on the same data from the same seed and describe the results."""
    from training.seq2seq.session import train_translator

    rows = []
    for name, recipe in recipes.items():
        run = out / name.replace(", ", "-").replace(" ", "-")
        options = TrainOptions(model="seq2seq", preset=name, data=data, data_root=data_root, out=run, seed=seed)
        train_translator(recipe, options)
        rows.append(describe_row(name, run))
    return rows


def describe_row(name: str, run: Path) -> Row:
    """Read a finished run into a line of the table, and time its translation."""
    from training.seq2seq.servable import load_network

    network, recipe, _ = load_network(run)
    text = next(iter(_read_translations(run).values()))
    bleu = Bleu(recipe.lowercase)
    counts = bleu.count(text["translations"], text["references"])
    lengths = np.array([len(reference.split()) for reference in text["references"]])
    is_long = lengths > np.median(lengths)
    metrics = read_run(run)["metrics"]
    return Row(
        name=name,
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        bleu=metrics["bleu"],
        bleu_short=bleu.aggregate(counts[~is_long]),
        bleu_long=bleu.aggregate(counts[is_long]),
        exact_match=metrics["exact_match"],
        train_s=metrics["train_s"],
        sentences_per_s=metrics["n"] / metrics["translate_s"],
    )


def format_table(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table."""
    lines = [
        "| network | parameters | BLEU | short | long | exact match | training s | sentences/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.num_parameters:,} | {row.bleu:.2f} | {row.bleu_short:.2f} | {row.bleu_long:.2f} | "
        f"{row.exact_match:.1%} | {row.train_s:.0f} | {row.sentences_per_s:.1f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _read_translations(run: Path) -> dict[str, dict[str, Any]]:
    path = run / TRANSLATIONS
    if not path.is_file():
        raise FileNotFoundError(f"{run} has no {TRANSLATIONS}: the training did not finish; continue it with --resume")
    found: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return found


def main(
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


if __name__ == "__main__":
    typer.run(main)
