"""Command-line options that several `loadtest` commands have."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests.addresses import Addresses
from loadtests.server import run_server
from model_store.release import Release
from model_store.settings import keys_folder
from model_store.signing import Keyring
from model_store.store import Store

ModelsArgument = Annotated[list[str] | None, typer.Argument(help="models in the store; none: all of them")]
ModelArgument = Annotated[str, typer.Argument(help="model in the store")]
StoreOption = Annotated[Path, typer.Option(help="folder of the store", envvar="MILLRACE_STORE", file_okay=False)]
ServeOption = Annotated[bool, typer.Option("--serve", help="start a server for the time of the test")]
GrpcUrlOption = Annotated[str, typer.Option(help="host:port of the running server's gRPC door")]
HttpUrlOption = Annotated[str, typer.Option(help="URL of the running server's REST door")]
MetricsUrlOption = Annotated[str, typer.Option(help="URL of the running server's metrics")]
VersionOption = Annotated[str, typer.Option(help="'' newest release's default, '3-int8' exactly that")]
RowsOption = Annotated[int, typer.Option(help="rows in one request", min=1)]
RepeatsOption = Annotated[int, typer.Option(help="pairs measured", min=1)]
MeasureOption = Annotated[float, typer.Option("--seconds", help="seconds of each measurement", min=0.5)]


def default_report_folder(prefix: str = "") -> Path:
    """Name a folder for a report where nobody chose one, after the present time."""
    return Path("reports") / datetime.now().strftime(f"{prefix}%Y-%m-%d-%H%M%S")


def name_command() -> str:
    """The command line that runs, as a shell would take it again."""
    return shlex.join(["loadtest", *sys.argv[1:]])


def name_moment() -> str:
    """The present second, with the time zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def open_store(root: Path) -> Store:
    """Open a store with this user's keys."""
    return Store(root, Keyring(keys_folder()))


def open_release(root: Path, model: str) -> Release:
    """Open the newest release of a model.

    Raises:
        LookupError: there is none; says what the store has.
    """
    release, _ = open_store(root).resolve(model)
    return release


@contextmanager
def open_server(
    serve: bool,
    store: Path,
    models: list[str],
    folder: Path,
    given: Addresses,
    variants: Sequence[str] = ("all",),
) -> Iterator[Addresses]:
    """Give the addresses of the server that is tested: one started for the test, else as they were given."""
    if not serve:
        yield given
        return
    with run_server(store, models, folder, variants=variants) as server:
        with Console().status(f"Starting {', '.join(models)}"):
            addresses = server.wait_ready()
        yield addresses
