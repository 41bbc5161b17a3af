"""Command-line options that several `loadtest` commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_store.settings import keys_folder
from model_store.signing import Keyring
from model_store.store import Release, Store

ModelsArgument = Annotated[list[str] | None, typer.Argument(help="models in the store; none: all of them")]
ModelArgument = Annotated[str, typer.Argument(help="model in the store")]
StoreOption = Annotated[Path, typer.Option(help="folder of the store", envvar="MILLRACE_STORE", file_okay=False)]
ServeOption = Annotated[bool, typer.Option("--serve", help="start a server for the time of the test")]
GrpcUrlOption = Annotated[str, typer.Option(help="host:port of the running server's gRPC door")]
HttpUrlOption = Annotated[str, typer.Option(help="URL of the running server's REST door")]
MetricsUrlOption = Annotated[str, typer.Option(help="URL of the running server's metrics")]
RepeatsOption = Annotated[int, typer.Option(help="pairs measured", min=1)]
MeasureOption = Annotated[float, typer.Option("--seconds", help="seconds of each measurement", min=0.5)]


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
