"""`train MODEL`: the command line of every model's training; it knows none of them."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from host.memory import keep_freed_memory
from host.threads import share_cores

os.environ.update(share_cores())  # before the modules below load torch, and OpenMP with it

from training.engine.interruption import Interrupted
from training.engine.models import load_recipe_module
from training.engine.options import TrainOptions
from training.engine.overrides import from_record, override
from training.engine.runs import read_run

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EPILOG = "Example: train classifier --preset full --data fashion-mnist --data-root data --set epochs=8"


@app.command(epilog=_EPILOG)
def train(
    model: Annotated[str, typer.Argument(help="Model to train: a folder of training/ with a recipe.py.")],
    preset: Annotated[
        str | None, typer.Option(help="demo (seconds, embedded data) or full.", show_default="demo")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set, as the model's README lists them.", show_default="the preset's")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Folder that holds data sets.", show_default="data")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default="runs/MODEL/PRESET")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", show_default="0")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the run that --out holds, and start anew.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="RUN RUN", help="Test whether two finished runs differ, instead of training."),
    ] = None,
    inspect: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Describe and draw a file of data into --out, instead of training."),
    ] = None,
) -> None:
    """Train a model, evaluate it on held-out data, and leave everything in the run's folder."""
    try:
        recipe_module = load_recipe_module(model)
        if compare is not None:
            if not hasattr(recipe_module, "compare_runs"):
                raise ValueError(f"{model} has no comparison of runs")
            typer.echo(recipe_module.compare_runs(*compare))
            return
        if inspect is not None:
            if not hasattr(recipe_module, "inspect_data"):
                raise ValueError(f"{model} has no inspection of data files")
            typer.echo(recipe_module.inspect_data(inspect, out or Path("runs") / model / "inspection"))
            return
        out = out or Path("runs") / model / (preset or "demo")
        given = {"preset": preset, "data": data, "data_root": data_root, "seed": seed}
        recipe, options = _settle(recipe_module.PRESETS, model, out, given, changes or [], resume=resume)
        options = replace(options, device=device, overwrite=overwrite)
        run = recipe_module.train(recipe, options)
    except (ValueError, OSError, FloatingPointError) as error:
        typer.echo(f"train: {error}", err=True)
        raise typer.Exit(2) from error
    except Interrupted as stop:
        typer.echo(f"{stop}\ncontinue with: train {model} --resume --out {shlex.quote(str(out))}", err=True)
        raise typer.Exit(130) from stop
    _report(run)


def _settle(
    presets: dict[str, Any],
    model: str,
    out: Path,
    given: dict[str, Any],
    changes: list[str],
    *,
    resume: bool,
) -> tuple[Any, TrainOptions]:
    """Work out recipe and options; a resumed run takes both from its record and may not be given others."""
    record: dict[str, Any] = read_run(out) if resume else {}
    preset = given["preset"] or record.get("preset", "demo")
    if preset not in presets:
        raise ValueError(f"{model} has no preset {preset!r}; there are: {', '.join(presets)}")
    if resume:
        recipe = from_record(type(presets[preset]), record["recipe"])
        _refuse_changes(record, recipe, given, changes)
    else:
        recipe = override(presets[preset], changes)
    options = TrainOptions(
        model=model,
        preset=preset,
        data=given["data"] or record.get("data", recipe.data),
        data_root=given["data_root"] or Path(record.get("data_root", "data")),
        out=out,
        seed=record.get("seed", 0) if given["seed"] is None else given["seed"],
        resume=resume,
        command=shlex.join(["train", *sys.argv[1:]]),
    )
    return recipe, options


def _refuse_changes(record: dict[str, Any], recipe: Any, given: dict[str, Any], changes: list[str]) -> None:
    asked = {name: value for name, value in given.items() if value is not None and name != "data_root"}
    differing = [f"{name} {value} (was {record[name]})" for name, value in asked.items() if value != record[name]]
    if override(recipe, changes) != recipe:
        differing.append(" ".join(f"--set {change}" for change in changes))
    if differing:
        raise ValueError(f"--resume continues the run as it was started; changed: {', '.join(differing)}")


def _report(run: Path) -> None:
    typer.echo(f"{run}")
    for name, value in read_run(run)["metrics"].items():
        typer.echo(f"  {name:18} {value}")


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    app(prog_name="train")
