"""A table of networks and compressions, trained alike and tested on the same channels beside simpler codewords.

train csi_feedback comparison --preset demo --set steps=1000
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.csi_feedback.data import load_data
from training.csi_feedback.evaluate import Figure, compare_methods, restore_by_baselines
from training.csi_feedback.network import load_network
from training.csi_feedback.pictures import draw_by_compression
from training.csi_feedback.program import restore_channels
from training.csi_feedback.recipe import PRESETS, Recipe
from training.csi_feedback.session import train
from training.engine.cost import format_cost
from training.engine.options import TrainOptions
from training.engine.overrides import override_preset
from training.engine.runs import train_all

COMPRESSIONS = (4, 8, 16, 32)


def vary_recipe(recipe: Recipe) -> dict[str, Recipe]:
    """What is compared: placed entries, a Transformer from principal components or random numbers, and CsiNet."""
    return {
        "sparse": replace(recipe, network="sparse"),
        "transformer": replace(recipe, network="transformer", start="principal"),
        "random start": replace(recipe, network="transformer", start="random"),
        "csinet": replace(recipe, network="csinet"),
    }


def compare_networks(runs: Mapping[str, Path], data: str, data_root: Path) -> list[Figure]:
    """Measure runs of one compression, and the baselines, each paired with the first run."""
    codecs = {name: load_network(run) for name, run in runs.items()}
    recipe = next(iter(codecs.values()))[1]
    loaded = load_data(data, data_root, recipe)
    restored = {name: restore_channels(codec, loaded.test) for name, (codec, _) in codecs.items()}
    return compare_methods(restored | restore_by_baselines(loaded), loaded)


def format_table(found: Mapping[int, Sequence[Figure]], runs: Mapping[int, Mapping[str, Path]]) -> str:
    """Write NMSE in dB as a Markdown table; in brackets the interval of the first network − row."""
    lines = ["| compression | method | NMSE, dB | ρ | parameters | training s |", "|---|---|---|---|---|---|"]
    for compression, figures in found.items():
        for figure in figures:
            bounds = figure.difference
            cells = [f"1/{compression}", figure.method, f"{figure.nmse_db:.2f}", f"{figure.similarity:.4f}"]
            cells[2] += "" if bounds is None else f" ({bounds[1]:+.2f} … {bounds[2]:+.2f})"
            run = runs[compression].get(figure.method)
            cells += ["–", "–"] if run is None else format_cost(load_network(run)[0], run)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def compare_all(
    preset: Annotated[str, typer.Option(help="Recipe in which network and compression are changed.")] = "full",
    data: Annotated[str | None, typer.Option(help="Data set, as for `train csi_feedback`; the preset's if absent.")] = (
        None
    ),
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs, comparison.md and nmse_by_compression.png.")] = Path(
        "runs/csi_feedback/comparison"
    ),
    compressions: Annotated[
        list[int] | None, typer.Option("--compression", help="May be repeated; 4, 8, 16 and 32 if absent.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train every network at every compression on one data set; print what each reaches, and by how many dB less."""
    recipe = override_preset(PRESETS, preset, changes or ())
    chosen = data or recipe.data
    runs, found = {}, {}
    compressions = compressions or list(COMPRESSIONS)
    for compression in compressions:
        folder = out / f"compression_{compression}"
        common = TrainOptions(model="csi_feedback", preset="", data=chosen, data_root=data_root, out=folder, seed=seed)
        recipes = vary_recipe(replace(recipe, compression=compression))
        runs[compression] = train_all(recipes, common, train)
        found[compression] = compare_networks(runs[compression], chosen, data_root)
    table = format_table(found, runs)
    (out / "comparison.md").write_text(table)
    methods = [figure.method for figure in next(iter(found.values()))]
    by_method = {
        method: [figure.nmse_db for figures in found.values() for figure in figures if figure.method == method]
        for method in methods
    }
    draw_by_compression(by_method, compressions, out / "nmse_by_compression.png")
    typer.echo(table)
