"""A table of ablations and of the thesis's networks, trained alike and tested on the same channels.

train beamformer comparison --set steps=500
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from training.beamformer.contenders import Observation, Weights, beamform_network, digital_baselines
from training.beamformer.data import GENERATED, HeldOutChannels, load_held_out, make_channel_model, observe
from training.beamformer.figures import Figure, compare_methods
from training.beamformer.network import load_network
from training.beamformer.recipe import PRESETS, Recipe
from training.beamformer.session import fit_beamformer
from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import finish_run, read_run, train_all

NETWORKS = ("full", "no-gate", "one-stage", "squared-error", "unet", "residual-encoder", "complex-cnn")
CSI_SNR_DB = (10.0, 0.0, -5.0, -10.0, -15.0)
_DATA_SNR_DB = 0.0


def fit_only(recipe: Recipe, options: TrainOptions) -> None:
    """Train a network that is measured beside the others, not by itself."""
    run, progress = fit_beamformer(recipe, options)
    finish_run(run, {"train_s": round(progress.elapsed_s, 1), "steps": progress.step})


def compare_networks(runs: Mapping[str, Path], held_out: HeldOutChannels) -> list[Figure]:
    """Measure all networks, the multilinear Wiener filter and an SVD at each CSI SNR, paired with the first network."""
    networks = {name: load_network(run) for name, run in runs.items()}
    model = make_channel_model(next(iter(networks.values()))[1])
    figures: list[Figure] = []
    for level in CSI_SNR_DB:
        observation = Observation(observe(held_out.channel, level), level, held_out.rays, model)
        methods: dict[str, Callable[[], Weights]] = {
            name: partial(beamform_network, network, observation) for name, (network, _) in networks.items()
        }
        baselines = digital_baselines(observation)
        methods |= {"multilinear Wiener filter": baselines["multilinear Wiener"], "SVD": baselines["SVD"]}
        figures += compare_methods(held_out.channel, methods, "digital", level, paired_with=tuple(methods)[1:])
    return figures


def format_table(figures: list[Figure], runs: Mapping[str, Path]) -> str:
    """Write percent of the optimum at a data SNR of 0 dB as a Markdown table; below it the interval of first − row."""
    shown = [figure for figure in figures if figure.data_snr_db == _DATA_SNR_DB]
    levels = list(dict.fromkeys(figure.csi_snr_db for figure in shown))
    heads = [f"CSI {level:g} dB" for level in levels]
    lines = [f"| | {' | '.join(heads)} | training s |", "|---" * (len(heads) + 2) + "|"]
    for name in dict.fromkeys(figure.method for figure in shown):
        cells = []
        for figure in (figure for figure in shown if figure.method == name):
            paired = figure.network_minus_method
            cells.append(f"{figure.percent:.2f}" + (f" ({paired[1]:+.2f} … {paired[2]:+.2f})" if paired else ""))
        train_s = f"{read_run(runs[name])['metrics']['train_s']:.0f}" if name in runs else "–"
        lines.append(f"| {name} | {' | '.join(cells)} | {train_s} |")
    return "\n".join(lines) + "\n"


def compare_all(
    data: Annotated[str, typer.Option(help="Data set, as for `train beamformer`.")] = GENERATED,
    data_root: Annotated[Path, typer.Option(help="Folder that holds data sets.")] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for the runs and comparison.md.")] = Path(
        "runs/beamformer/comparison"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value for every recipe here.")] = None,
) -> None:
    """Train the network, its ablations and the thesis's networks; print what each reaches, and by how much less."""
    recipes = {name: override(PRESETS[name], changes or ()) for name in NETWORKS}
    common = TrainOptions(model="beamformer", preset="", data=data, data_root=data_root, out=out, seed=seed)
    runs = train_all(recipes, common, fit_only)
    recipe = recipes[NETWORKS[0]]
    held_out = load_held_out(data, data_root, make_channel_model(recipe), recipe.num_test)
    title = f"{len(held_out.channel)} test channels of {held_out.name}; in brackets the 95 % interval of first − row"
    report = f"{title}\n\n{format_table(compare_networks(runs, held_out), runs)}"
    (out / "comparison.md").write_text(report)
    typer.echo(report)
