"""The `infer` command: one subcommand per file in `commands/`, and any other name is a model called with arrays."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import typer

from services.client import commands, generic
from services.client.errors import ClientError


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """Make the command line: only a server knows the models, so the first argument names the command."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        help="Call a served model: `infer MODEL --input x=rows.npy --out y.npz`; `infer MODEL` shows inputs.",
    )
    app.callback()(_take_any_model)
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    model = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    for name in names:
        if name != model or "--input" not in arguments:
            app.command(name)(importlib.import_module(f"{commands.__name__}.{name}").run)
    if model and (model not in names or "--input" in arguments):
        app.command(model)(generic.run)
    return app


def _take_any_model() -> None:
    """Make a group of an application with one command."""


def main() -> None:
    """Run the command; a failed call is one line on stderr and exit status 1."""
    try:
        make_app(sys.argv[1:])()
    except (ClientError, OSError, ValueError) as error:
        print(f"infer: {error}", file=sys.stderr)
        sys.exit(1)
