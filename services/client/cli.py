"""The `infer` command: the first argument names a model, whose kind decides how it is called.

A kind with a file in `commands/` is called as people think of it, any other with arrays. A model named after its kind
needs no question to the server.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from services.client import commands, generic
from services.client.connecting import open_client
from services.client.ending import run_to_its_end
from services.client.errors import ClientError
from services.client.options import DEFAULT_URL, TLS_CA, TLS_CERT, TLS_KEY, URL


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """Make the command line: only a server knows the models and their kinds, so the first argument decides."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        help="Call a served model by its name; `infer MODEL` shows what it takes, `infer MODEL --help` how to call it.",
    )
    app.callback()(_take_any_model)
    kinds = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    model = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    for kind in kinds:
        if kind != model:
            app.command(kind)(_find_command(kind))
    if model and "--input" in arguments:
        app.command(model)(generic.run)
    elif model:
        kind = model if model in kinds else ask_kind(model, arguments)
        app.command(model)(_find_command(kind) if kind in kinds else generic.run)
    return app


def ask_kind(model: str, arguments: Sequence[str]) -> str:
    """Ask the server that the arguments name what a model is; '' if it does not say, or does not answer."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--url", default=os.environ.get(URL, DEFAULT_URL))
    parser.add_argument("--version", default="")
    parser.add_argument("--api-key", default=None)
    for option, name in (("--tls-ca", TLS_CA), ("--tls-cert", TLS_CERT), ("--tls-key", TLS_KEY)):
        parser.add_argument(option, type=Path, default=os.environ.get(name))
    options = vars(parser.parse_known_args(arguments)[0])
    version = options.pop("version")
    try:
        with open_client(**options) as client:
            return client.metadata(model, version=version).kind
    except ClientError:  # the command itself will say it better
        return ""


def _find_command(kind: str) -> Callable[..., None]:
    run: Callable[..., None] = importlib.import_module(f"{commands.__name__}.{kind}").run
    return run


def _take_any_model() -> None:
    """Make a group of an application with one command."""


def main() -> None:
    """Run the command."""
    run_to_its_end("infer", lambda: make_app(sys.argv[1:])())
