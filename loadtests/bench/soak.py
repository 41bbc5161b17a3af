"""Half of what a version can do, for long: whether memory, descriptors or tasks grow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import psutil
import uvloop
from rich.console import Console

from loadtests.bench.arrivals import find_capacity, send_poisson, without_garbage_collection
from loadtests.bench.ratio import print_bar
from loadtests.generate.lean_grpc import open_lean_channel
from loadtests.generate.payload import cut_batches, make_grpc_bodies, read_rows
from loadtests.subject import Subject

LOAD = 0.5
TURN_S = 10.0
TIMEOUT_S = 10.0
# Caches and heaps fill at first: of an hour ten minutes, of a shorter soak a quarter.
MOST_SETTLING_S = 600.0
BAR_MEMORY = 1.01
BAR_DESCRIPTORS, BAR_TASKS = 2.0, 8.0


class Sample(NamedTuple):
    """What a server and all its processes hold at one moment."""

    memory_bytes: int
    num_descriptors: int
    num_tasks: float


def read_processes(processes: Sequence[psutil.Process], num_tasks: float) -> Sample:
    """Add up resident memory (shared pages once a process) and open descriptors."""
    memory_bytes = num_descriptors = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            memory_bytes += process.memory_info().rss
            num_descriptors += process.num_fds()
    return Sample(memory_bytes, num_descriptors, num_tasks)


def measure_soak(
    subject: Subject, address: str, read_sample: Callable[[], Sample], *, rows: int, minutes: float, console: Console
) -> bool:
    """Send Poisson traffic at half the capacity and sample; return whether nothing grows and no call fails."""
    batches = cut_batches(read_rows(subject.examples_path, subject.input_names), rows)
    bodies = make_grpc_bodies(subject.manifest.model, subject.manifest.version, batches)
    num_turns = max(8, round(60 * minutes / TURN_S))
    with without_garbage_collection():
        rate = LOAD * find_capacity(address, bodies, rows=rows, max_rows=subject.manifest.max_rows)
        console.print(f"{rate:,.1f} requests/s of {rows} rows for {num_turns * TURN_S / 60:g} minutes")
        outcomes, samples = uvloop.run(_soak(address, bodies, rate, num_turns, read_sample))
    console.print(", ".join(f"{count} {status}" for status, count in outcomes.most_common()))
    failed = outcomes.total() - outcomes["OK"]
    growth = find_growth(samples[_count_settling(num_turns) :])
    end = samples[-1]
    console.print(
        f"at the end {end.memory_bytes / 2**20:,.0f} MiB, {end.num_descriptors} descriptors, {end.num_tasks:g} tasks"
    )
    bars = (
        ("failed calls", float(failed), 0.0, ""),
        ("memory, last ÷ first tenth", growth.memory, BAR_MEMORY, "×"),
        ("descriptors, more by", growth.descriptors, BAR_DESCRIPTORS, ""),
        ("tasks, more by", growth.tasks, BAR_TASKS, ""),
    )
    reached = [print_bar(console, name, value, bar, at_least=False, unit=unit) for name, value, bar, unit in bars]
    return all(reached)


class Growth(NamedTuple):
    """Last against first tenth of a soak, by medians: memory as a ratio, the others as differences."""

    memory: float
    descriptors: float
    tasks: float


def find_growth(samples: Sequence[Sample]) -> Growth:
    tenth = max(2, len(samples) // 10)
    first, last = (np.median(part, axis=0) for part in (samples[:tenth], samples[-tenth:]))
    return Growth(float(last[0] / first[0]), float(last[1] - first[1]), float(last[2] - first[2]))


def _count_settling(num_turns: int) -> int:
    return int(min(MOST_SETTLING_S / TURN_S, num_turns / 4))


async def _soak(
    address: str, bodies: Sequence[bytes], rate: float, num_turns: int, read_sample: Callable[[], Sample]
) -> tuple[Counter[str], list[Sample]]:
    outcomes: Counter[str] = Counter()
    samples = []
    async with open_lean_channel(address) as channel:
        for _ in range(num_turns):
            calls = await send_poisson(channel, bodies, rate, TURN_S, TIMEOUT_S)
            samples.append(read_sample())
            outcomes.update(call.status for call in calls if call.ended_s < math.inf)  # those under way end well or not
    return outcomes, samples
