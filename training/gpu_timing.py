"""Figures of `make gpu-check`: how fast a way to run a network is, alone and two at once, and the memory it takes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

NUMS_ROWS = (1, 8, 64)
# More than a graph waits for before it is recorded.
_WARM_UP_CALLS = 6
_LEAST_CALLS, _LEAST_S = 10, 0.3
_HEAD = ("", "quality", *(f"{num_rows} rows, ms" for num_rows in NUMS_ROWS), "rows/s", "two at once", "memory, MB")
Call = Callable[[int], object]  # answers a number of rows, and returns when the answer is on the host


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One line of the table; `memory_bytes` is the GPU's, at most, None on a CPU."""

    name: str
    quality: float | None
    times_ms: tuple[float, ...]
    together_rows_per_s: float
    memory_bytes: int | None

    @property
    def rows_per_s(self) -> float:
        return 1000 * NUMS_ROWS[-1] / self.times_ms[-1]


def measure(name: str, open_call: Callable[[], Call], device: torch.device, quality: float | None = None) -> Figures:
    """Open a way to run a network and measure it, then a second one beside it, each on a stream of its own."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    before_bytes = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    call = open_call()
    times_ms = tuple(1000 * _seconds_per_call(call, num_rows) for num_rows in NUMS_ROWS)
    memory_bytes = torch.cuda.max_memory_allocated(device) - before_bytes if device.type == "cuda" else None
    return Figures(
        name=name,
        quality=quality,
        times_ms=times_ms,
        together_rows_per_s=_run_together([call, open_call()], device),
        memory_bytes=memory_bytes,
    )


def print_figures(figures: Sequence[Figures]) -> None:
    """Print the table."""
    rows = [_HEAD, *map(_in_words, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
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


def _seconds_per_call(call: Call, num_rows: int) -> float:
    for _ in range(_WARM_UP_CALLS):
        call(num_rows)
    times_s: list[float] = []
    while len(times_s) < _LEAST_CALLS or sum(times_s) < _LEAST_S:
        started_s = time.perf_counter()
        call(num_rows)
        times_s.append(time.perf_counter() - started_s)
    return median(times_s)


def _run_together(calls: Sequence[Call], device: torch.device) -> float:
    """Rows per second of all calls together, each in a thread."""
    num_rows, num_calls, seconds = NUMS_ROWS[-1], [0] * len(calls), [0.0] * len(calls)
    ready = threading.Barrier(len(calls))

    def repeat(place: int) -> None:
        stream = torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else contextlib.nullcontext()
        with stream:
            for _ in range(_WARM_UP_CALLS):
                calls[place](num_rows)
            ready.wait()
            started_s = time.perf_counter()
            while seconds[place] < _LEAST_S:
                calls[place](num_rows)
                num_calls[place] += 1
                seconds[place] = time.perf_counter() - started_s

    threads = [threading.Thread(target=repeat, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return num_rows * sum(count / time_s for count, time_s in zip(num_calls, seconds, strict=True))
