"""Progress of long steps: a bar on a terminal, sparse plain lines in a log file or where rich is not installed."""

from __future__ import annotations

import importlib.util
import sys
import time
from types import TracebackType
from typing import Any

_LINE_EVERY_S = 10.0


class ProgressBar:
    """Context manager that shows how far a step has come.

    with ProgressBar("training", total=100) as bar:
        bar.advance(1, "loss 0.3")
    """

    def __init__(self, title: str, total: int, *, done: int = 0) -> None:
        self.title, self.total, self.done = title, total, done
        self.note = ""
        self._rich: Any = None
        self._line_due = 0.0
        self._started = time.monotonic()

    def __enter__(self) -> ProgressBar:
        if sys.stderr.isatty() and importlib.util.find_spec("rich"):
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._rich = Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
            self._rich.start()
            self._rich.add_task(self.title, total=self.total, completed=self.done, note="")
        return self

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Count `count` more as done; `note` is shown behind the bar."""
        self.done += count
        self.note = self.note if note is None else note
        if self._rich is not None:
            self._rich.update(self._rich.task_ids[0], completed=self.done, note=self.note)
        elif time.monotonic() >= self._line_due or self.done == self.total:
            self._line_due = time.monotonic() + _LINE_EVERY_S
            elapsed_s = time.monotonic() - self._started
            print(f"{self.title} {self.done}/{self.total}  {elapsed_s:.0f} s  {self.note}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self._rich is not None:
            self._rich.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
