"""`train KIND`: the command line of every kind's training; it knows none of them."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from host.memory import keep_freed_memory
from host.threads import share_cores

os.environ.update(share_cores())  # before the modules below load torch, and OpenMP with it

from model_store.exit_status import exit_status_of
from training.engine.distributed import joined_processes, refuse_processes
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.engine.tracking import tracked_by
from training.field_comparison.command import CHOICES, make_choices
from training.help import describe_kind, summarize_kind
from training.models import Model, list_kinds, load_model
from training.recipe_search.command import SEARCH, make_search
from training.request import Request, settle

_EPILOG = "Example: train classifier --preset full --data fashion-mnist --data-root data --set epochs=8"


class _Kinds(TyperGroup):
    """One command for each kind, loaded when it is named: training one must not wait for all others' libraries."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list_kinds()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        try:
            return typer.main.get_command(make_command(load_model(cmd_name)))
        except ValueError as error:
            typer.echo(f"train: {error}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(cls=_Kinds, add_completion=False, rich_markup_mode=None, subcommand_metavar="KIND [OPTIONS]")


@app.callback(epilog=_EPILOG)
def _train() -> None:
    """Train a model, evaluate it on held-out data, and leave everything in the run's folder.

    `train KIND --help` lists a kind's presets, data sets and the fields of its recipe.
    """


def make_command(model: Model[Any]) -> typer.Typer:
    """Make the command line of a kind: its training, and its further verbs as sub-commands."""
    verbs = {**model.commands, SEARCH: make_search(model), CHOICES: make_choices(model)}
    command = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        subcommand_metavar=f"[{'|'.join(verbs)}]",
    )

    @command.callback(
        invoke_without_command=True,
        help=f"{model.summary}\n\nTrain one, evaluate it on held-out data, and leave everything in the run's folder.",
        short_help=summarize_kind(model),
        epilog=describe_kind(model),
    )
    def train(
        context: typer.Context,
        preset: str | None = typer.Option(None, help=f"{', '.join(model.presets)}.", show_default="demo"),
        data: str | None = typer.Option(None, help="Data set, one of those below.", show_default="the preset's"),
        data_root: Path | None = typer.Option(None, help="Folder that holds data sets.", show_default="data"),
        out: Path | None = typer.Option(None, help="Folder of the run.", show_default=f"runs/{model.kind}/PRESET"),
        device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N."),
        seed: int | None = typer.Option(None, help="Seed of everything random.", show_default="0"),
        changes: list[str] | None = typer.Option(
            None, "--set", metavar="FIELD=VALUE", help="Change a field of the recipe; may be repeated."
        ),
        resume: bool = typer.Option(False, "--resume", help="Go on from the checkpoint in --out."),
        overwrite: bool = typer.Option(False, "--overwrite", help="Remove the run that --out holds, and start anew."),
        tracker: str | None = typer.Option(
            None, metavar="mlflow[:URI]", help="Record the run in MLflow too, in runs/mlflow.db or at a URI."
        ),
        compare: tuple[Path, Path] | None = typer.Option(
            None,
            metavar="RUN RUN",
            hidden=model.compare is None,
            help="Test whether two finished runs differ, instead of training.",
        ),
        inspect: Path | None = typer.Option(
            None,
            metavar="FILE",
            hidden=model.inspect is None,
            help="Describe and draw a file of data into --out, instead of training.",
        ),
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        folder = out or Path("runs") / model.kind / (preset or "demo")
        request = Request(
            preset=preset,
            data=data,
            data_root=data_root,
            out=folder,
            device=device,
            seed=seed,
            changes=tuple(changes or ()),
            resume=resume,
            overwrite=overwrite,
            command=shlex.join(["train", *sys.argv[1:]]),
        )
        with plain_errors(f"train {model.kind} --resume --out {shlex.quote(str(folder))}"):
            if compare is not None:
                typer.echo(compare_runs(model, *compare))
            elif inspect is not None:
                typer.echo(inspect_file(model, inspect, out or Path("runs") / model.kind / "inspection"))
            else:
                if not model.divides_batches:
                    refuse_processes(f"train {model.kind}")
                recipe, options = settle(model, request)
                with joined_processes(device), tracked_by(tracker):
                    report(model.train(recipe, options))

    for name, function in verbs.items():
        command.command(name)(_speaking_plainly(function))
    return command


@contextmanager
def plain_errors(again: str) -> Iterator[None]:
    """Say in a line what went wrong, and after Ctrl-C by which command the work goes on."""
    try:
        yield
    except (ValueError, OSError, FloatingPointError) as error:
        typer.echo(f"train: {error}", err=True)
        raise typer.Exit(exit_status_of(error)) from error
    except Interrupted as stop:
        typer.echo(f"{stop}\ncontinue with: {again}", err=True)
        raise typer.Exit(130) from stop


def _speaking_plainly(function: Callable[..., None]) -> Callable[..., None]:
    """Make a further verb report errors as training does; typer still sees its signature."""

    @functools.wraps(function)
    def call(**given: Any) -> None:
        with plain_errors("the same command"):
            refuse_processes("this command")
            function(**given)

    return call


def compare_runs(model: Model[Any], first: Path, second: Path) -> str:
    """Say whether two runs differ.

    Raises:
        ValueError: the kind has no comparison of runs.
    """
    if model.compare is None:
        raise ValueError(f"{model.kind} has no comparison of runs")
    return model.compare(first, second)


def inspect_file(model: Model[Any], file: Path, out: Path) -> str:
    """Describe a file of data, and draw it into the folder `out`.

    Raises:
        ValueError: the kind has no inspection of data files.
    """
    if model.inspect is None:
        raise ValueError(f"{model.kind} has no inspection of data files")
    return model.inspect(file, out)


def report(run: Path) -> None:
    """Print the headline figures of a finished run."""
    typer.echo(f"{run}")
    for name, value in read_run(run)["metrics"].items():
        typer.echo(f"  {name:18} {value}")


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    app(prog_name="train")
