"""`serve engine DIR`: TorchServe for a gateway that is another process or container of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_store.exit_status import FAILED, WRONGLY_ASKED

# Imported late: `--help` and a mistyped option are answered before the engine's libraries load.

if TYPE_CHECKING:
    from services.torchserve.engine import Engine

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog="Example: serve engine /run/millrace    and, by the same user: serve --engine /run/millrace")
def engine(
    folder: Annotated[
        Path, typer.Argument(envvar="MILLRACE_ENGINE", help="Folder that the gateway sees at the same path.")
    ],
) -> None:
    """Run TorchServe for gateways that name this folder, until Ctrl-C; no store, no keys, no ports of its own.

    Read from MILLRACE_…: JAVA, JAVA_HEAP_MIB. All else is said by the gateway.
    """
    from services.logs import configure_logs
    from services.torchserve.command import StartError
    from services.torchserve.engine import Engine
    from services.torchserve.java import NoUsableJavaError, find_java
    from services.torchserve.settings import TorchServeSettings

    configure_logs("info")
    try:
        given: dict[str, Any] = {"engine": folder}  # the rest is read from the environment
        settings = TorchServeSettings(**given)
        running = Engine(folder, find_java(settings.java), settings.java_heap_mib)
    except (ValueError, OSError, StartError, NoUsableJavaError) as error:
        typer.echo(f"serve engine: {error}", err=True)
        raise typer.Exit(WRONGLY_ASKED if isinstance(error, ValueError) else FAILED) from None
    typer.echo(f"an engine waits for gateways at {folder}; Ctrl-C stops it")
    asyncio.run(_run_until_signal(running))


async def _run_until_signal(running: Engine) -> None:
    work = asyncio.create_task(running.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
