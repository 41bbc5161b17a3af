"""From `serve` to every variant ready and warmed, and from Ctrl-C to nothing left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console

from loadtests.bench.ratio import print_bar
from loadtests.server import run_server

BAR_READY_S = 15.0
BAR_GONE_S = 5.0


def measure_startup(store: Path, models: Sequence[str], *, repeats: int, console: Console) -> bool:
    """Start and stop a server several times; return whether both bars are reached.

    Raises:
        ServerError: it did not start, or a process of it survived.
    """
    ready_s, gone_s = [], []
    with TemporaryDirectory(prefix="startup-") as folder:
        for repeat in range(repeats):
            start_s = time.monotonic()
            with run_server(store, models, Path(folder)) as server:
                server.wait_ready()
                ready_s.append(time.monotonic() - start_s)
                num_processes = len(server.list_processes())
                gone_s.append(server.stop())
            console.print(
                f"  {repeat + 1} of {repeats}: ready after {ready_s[-1]:.1f} s, {num_processes} processes gone "
                f"{gone_s[-1]:.1f} s after Ctrl-C"
            )
    ready = print_bar(console, "serve → all variants ready", median(ready_s), BAR_READY_S, at_least=False, unit=" s")
    gone = print_bar(console, "Ctrl-C → nothing left", median(gone_s), BAR_GONE_S, at_least=False, unit=" s")
    return ready and gone
