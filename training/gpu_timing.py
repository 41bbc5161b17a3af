"""Figures of `make gpu-check`: how fast a way to run a network is, alone and two at once, and the memory it takes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import torch

from host.cpu import count_cores

Call = Callable[[int], object]  # answers a number of rows, and returns when the answer is on the host


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How many rows are answered at once, and how often at least: so many calls and seconds, after a warm-up."""

    nums_rows: tuple[int, ...]
    warm_up_calls: int
    least_calls: int
    least_s: float


# A graph waits for three calls before it is recorded.
ON_GPU = Effort(nums_rows=(1, 8, 64), warm_up_calls=6, least_calls=10, least_s=0.3)
# There the table shows that everything runs, and little more: what a GPU answers in a millisecond takes it a second.
ON_CPU = Effort(nums_rows=(1, 8, 16), warm_up_calls=2, least_calls=3, least_s=0.1)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One line of the table, a time for each number of rows; `memory_bytes` is the GPU's, at most, None on a CPU."""

    name: str
    quality: float | None
    nums_rows: tuple[int, ...]
    times_ms: tuple[float, ...]
    together_rows_per_s: float
    memory_bytes: int | None

    @property
    def rows_per_s(self) -> float:
        return 1000 * self.nums_rows[-1] / self.times_ms[-1]


def measure(name: str, open_call: Callable[[], Call], device: torch.device, quality: float | None = None) -> Figures:
    """Open a way to run a network and measure it, then a second one beside it, each on a stream of its own."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    before_bytes = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    effort = ON_GPU if device.type == "cuda" else ON_CPU
    call = open_call()
    times_ms = tuple(1000 * _seconds_per_call(call, num_rows, effort) for num_rows in effort.nums_rows)
    memory_bytes = torch.cuda.max_memory_allocated(device) - before_bytes if device.type == "cuda" else None
    return Figures(
        name=name,
        quality=quality,
        nums_rows=effort.nums_rows,
        times_ms=times_ms,
        together_rows_per_s=_run_together([call, open_call()], device, effort),
        memory_bytes=memory_bytes,
    )


def print_figures(figures: Sequence[Figures]) -> None:
    """Print the table; all lines are of the same numbers of rows."""
    times = [f"{num_rows} rows, ms" for num_rows in figures[0].nums_rows] if figures else []
    rows = [("", "quality", *times, "rows/s", "two at once", "memory, MB"), *map(_in_words, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join((first.strip().ljust(widths[0]), *others)))


def _in_words(figures: Figures) -> tuple[str, ...]:
    return (
        figures.name,
        "" if figures.quality is None else f"{figures.quality:.4f}",
        *(f"{time_ms:.3f}" for time_ms in figures.times_ms),
        f"{figures.rows_per_s:,.0f}",
        f"{figures.together_rows_per_s:,.0f}",
        "" if figures.memory_bytes is None else f"{figures.memory_bytes / 1e6:.1f}",
    )


def _seconds_per_call(call: Call, num_rows: int, effort: Effort) -> float:
    for _ in range(effort.warm_up_calls):
        call(num_rows)
    times_s: list[float] = []
    began_s = time.perf_counter()
    while len(times_s) < effort.least_calls or time.perf_counter() - began_s < effort.least_s:
        started_s = time.perf_counter()
        call(num_rows)
        times_s.append(time.perf_counter() - started_s)
    return median(times_s)


def _run_together(calls: Sequence[Call], device: torch.device, effort: Effort) -> float:
    """Rows per second of all calls together, each in a thread."""
    ready = threading.Barrier(len(calls))
    num_rows = effort.nums_rows[-1]

    def repeat(call: Call) -> float:
        with _place_of_its_own(device, len(calls)):
            try:
                for _ in range(effort.warm_up_calls):
                    call(num_rows)
            except BaseException:
                ready.abort()  # or the others would wait for this one for ever
                raise
            ready.wait()
            started_s, num_calls, seconds = time.perf_counter(), 0, 0.0
            while seconds < effort.least_s:
                call(num_rows)
                num_calls += 1
                seconds = time.perf_counter() - started_s
        return num_rows * num_calls / seconds

    num_threads = torch.get_num_threads()
    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(repeat, call) for call in calls]
    torch.set_num_threads(num_threads)
    failures = [error for each in running if (error := each.exception())]
    if failures:  # first what broke, not who waited for it
        raise min(failures, key=lambda error: isinstance(error, threading.BrokenBarrierError))
    return sum(each.result() for each in running)


@contextlib.contextmanager
def _place_of_its_own(device: torch.device, num_beside: int) -> Iterator[None]:
    """A stream on a GPU; on a CPU a part of the cores, for which threads would otherwise fight for minutes."""
    if device.type == "cuda":
        with torch.cuda.stream(torch.cuda.Stream(device)):
            yield
    else:
        torch.set_num_threads(max(1, count_cores() // num_beside))
        yield
