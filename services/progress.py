"""Progress of a start: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.catalogue import ServedVariant


class StartProgress:
    """Shows how many workers are ready."""

    def __init__(self, variants: Sequence[ServedVariant]) -> None:
        self._console = Console(stderr=True)
        names = ", ".join(map(str, variants))
        self._console.print(f"starting TorchServe with {names}", highlight=False)
        columns = (SpinnerColumn(), TextColumn("workers"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("workers", total=None)
        self._shown = 0
        self._started_s = time.monotonic()

    def __enter__(self) -> StartProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, num_ready: int, num_workers: int) -> None:
        self._bar.update(self._task, completed=num_ready, total=num_workers)
        if not self._console.is_terminal and num_ready != self._shown:
            seconds = time.monotonic() - self._started_s
            self._console.print(f"workers ready: {num_ready}/{num_workers} after {seconds:.1f} s", highlight=False)
        self._shown = num_ready
