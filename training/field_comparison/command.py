"""`train KIND choices FIELD`: the same verb for every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from training.engine.difference import judge_difference
from training.field_comparison.comparing import Result, compare_choices, list_choices, train_choices
from training.field_comparison.picture import draw_choices
from training.models import Model
from training.request import Request, name_common, settle

CHOICES = "choices"
PICTURE, TABLE = "choices.png", "choices.md"


def make_choices(model: Model[Any]) -> Callable[..., None]:
    """Make the verb of a kind."""

    def compare_field(
        field: str = typer.Argument(..., help="Field of the recipe that takes one of several words."),
        only: list[str] = typer.Option([], help="Compare these alone, the first with the others; may be repeated."),
        seeds: int = typer.Option(3, min=1, help="Trainings of each; they are paired by the seed."),
        preset: str = typer.Option("demo", help=f"What all start from: {', '.join(model.presets)}."),
        data: str | None = typer.Option(None, help="Data set.", show_default="the preset's"),
        data_root: Path | None = typer.Option(None, help="Folder that holds data sets.", show_default="data"),
        out: Path | None = typer.Option(None, help="Folder of the runs.", show_default=f"runs/{model.kind}/FIELD"),
        device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N."),
        seed: int = typer.Option(0, help="The first seed."),
        changes: list[str] = typer.Option([], "--set", metavar="FIELD=VALUE", help="Change a field for all trainings."),
    ) -> None:
        """Train what a field may be from several seeds each, and say by how much which is better.

        The same command goes on where it was stopped.
        """
        folder = out or Path("runs") / model.kind / field
        request = Request(
            preset=preset,
            data=data,
            data_root=data_root,
            out=folder,
            device=device,
            seed=seed,
            changes=tuple(changes),
            resume=False,
            overwrite=False,
            command=name_common(("train", model.kind, CHOICES, field), preset, data, changes),
        )
        recipe, options = settle(model, request)
        choices = tuple(only) or list_choices(recipe, field)
        results = compare_choices(train_choices(model, recipe, field, choices, options, seeds))
        table = format_table(results, field)
        (folder / TABLE).write_text(table)
        draw_choices(results, field, folder / PICTURE)
        typer.echo(table)

    return compare_field


def format_table(results: Sequence[Result], field: str) -> str:
    """Write scores as a Markdown table; differences are row − first row."""
    lines = [f"| {field} | score, higher is better | difference, paired by seed | |", "|---|---|---|---|"]
    for result in results:
        mean = f"{np.mean(result.scores):.4g} ({', '.join(f'{score:.4g}' for score in result.scores)})"
        cells = [result.choice, mean, "", ""]
        if result.difference is not None:
            middle, low, high = result.difference
            cells[2:] = [f"{middle:+.4g} ({low:+.4g} … {high:+.4g})", judge_difference(low, high)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
