"""Figures of `make gpu-check`: how fast a way to run a network is, alone and two at once, and the memory it takes."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import torch

from host.cpu import count_cores


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to run a network.

    `call` answers a number of rows, and returns when the answer is on the host. Threads that `enter` before may call
    beside each other, as the slots of a worker; None: only one may.
    """

    call: Callable[[int], object]
    enter: Callable[[], None] | None


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How many rows are answered at once, and how often at least: so many calls and seconds, after a warm-up."""

    nums_rows: tuple[int, ...]
    warm_up_calls: int
    least_calls: int
    least_s: float


_NUM_TOGETHER = 2
# A graph waits for three calls before it is recorded.
ON_GPU = Effort(nums_rows=(1, 8, 64), warm_up_calls=6, least_calls=10, least_s=0.3)
# There the table shows that everything runs, and little more: what a GPU answers in a millisecond takes it a second.
ON_CPU = Effort(nums_rows=(1, 8, 16), warm_up_calls=2, least_calls=3, least_s=0.1)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One line of the table, a time for each number of rows.

    `together_rows_per_s` is None where there is no two at once; `memory_bytes` is the GPU's that it keeps, whoever
    asked the driver for it, None on a CPU.
    """

    name: str
    quality: float | None
    nums_rows: tuple[int, ...]
    times_ms: tuple[float, ...]
    together_rows_per_s: float | None
    memory_bytes: int | None

    @property
    def rows_per_s(self) -> float:
        return 1000 * self.nums_rows[-1] / self.times_ms[-1]


def measure(name: str, open_way: Callable[[], Way], device: torch.device, quality: float | None = None) -> Figures:
    """Open a way to run a network and measure it, alone and by two threads at once."""
    effort = ON_GPU if device.type == "cuda" else ON_CPU
    gc.collect()
    torch.cuda.empty_cache()  # what others have left would be taken, and not be counted
    before_bytes = _free_bytes(device)
    way = open_way()
    times_ms = tuple(1000 * _seconds_per_call(way.call, num_rows, effort) for num_rows in effort.nums_rows)
    return Figures(
        name=name,
        quality=quality,
        nums_rows=effort.nums_rows,
        times_ms=times_ms,
        memory_bytes=before_bytes - _free_bytes(device) if device.type == "cuda" else None,
        together_rows_per_s=_run_together(way, device, effort) if way.enter is not None else None,
    )


def _free_bytes(device: torch.device) -> int:
    """The GPU's memory that nobody holds, by its driver: torch does not know what onnxruntime and libraries took."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


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
        "" if figures.together_rows_per_s is None else f"{figures.together_rows_per_s:,.0f}",
        "" if figures.memory_bytes is None else f"{figures.memory_bytes / 1e6:.1f}",
    )


def _seconds_per_call(call: Callable[[int], object], num_rows: int, effort: Effort) -> float:
    for _ in range(effort.warm_up_calls):
        call(num_rows)
    times_s: list[float] = []
    began_s = time.perf_counter()
    while len(times_s) < effort.least_calls or time.perf_counter() - began_s < effort.least_s:
        started_s = time.perf_counter()
        call(num_rows)
        times_s.append(time.perf_counter() - started_s)
    return median(times_s)


def _run_together(way: Way, device: torch.device, effort: Effort) -> float:
    """Rows per second of two threads together."""
    ready = threading.Barrier(_NUM_TOGETHER)
    num_rows = effort.nums_rows[-1]

    def repeat() -> float:
        if device.type == "cpu":  # a part of the cores, for which threads would otherwise fight for minutes
            torch.set_num_threads(max(1, count_cores() // _NUM_TOGETHER))
        try:
            assert way.enter is not None
            way.enter()
            for _ in range(effort.warm_up_calls):
                way.call(num_rows)
        except BaseException:
            ready.abort()  # or the others would wait for this one for ever
            raise
        ready.wait()
        started_s, num_calls, seconds = time.perf_counter(), 0, 0.0
        while seconds < effort.least_s:
            way.call(num_rows)
            num_calls += 1
            seconds = time.perf_counter() - started_s
        return num_rows * num_calls / seconds

    num_threads = torch.get_num_threads()
    with ThreadPoolExecutor(_NUM_TOGETHER) as pool:
        running = [pool.submit(repeat) for _ in range(_NUM_TOGETHER)]
    torch.set_num_threads(num_threads)
    failures = [error for each in running if (error := each.exception())]
    if failures:  # first what broke, not who waited for it
        raise min(failures, key=lambda error: isinstance(error, threading.BrokenBarrierError))
    return sum(each.result() for each in running)
