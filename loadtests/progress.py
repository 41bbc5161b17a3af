"""A progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from loadtests.campaign import Advance


@contextmanager
def show_progress(console: Console, total_s: float) -> Iterator[Advance]:
    """Show how far a campaign of `total_s` planned seconds is."""
    if not console.is_terminal:
        yield _print_lines(console, total_s)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Measuring", total=total_s)
        yield lambda what, planned_s: progress.update(task, description=what, advance=planned_s)


def _print_lines(console: Console, total_s: float) -> Advance:
    start_s = time.monotonic()
    done_s = 0.0

    def advance(what: str, planned_s: float) -> None:
        nonlocal done_s
        done_s += planned_s
        share = min(done_s / total_s, 1.0)
        console.print(f"{share:4.0%} after {time.monotonic() - start_s:3.0f} s: {what}", highlight=False)

    return advance
