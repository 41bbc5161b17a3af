"""More asked of a version than it can do: what is answered in time, how fast the rest is refused, when all is well."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import uvloop
from rich.console import Console

from loadtests.bench.arrivals import (
    REFUSED,
    Call,
    find_capacity,
    send_poisson,
    without_garbage_collection,
)
from loadtests.bench.ratio import print_bar
from loadtests.generate.lean_grpc import open_lean_channel
from loadtests.generate.payload import cut_batches, make_grpc_bodies, read_rows
from loadtests.subject import Subject

FACTORS = (1.5, 3.0)
BAR_GOODPUT = 0.9
BAR_REFUSAL_MS = 10.0
BAR_RECOVERY_S = 2.0
BAR_MEMORY = 1.1
CALM_FACTOR, CALM_S = 0.4, 4.0
# Answers may come that much after their deadlines before nobody waits for them any more.
PATIENCE_S = 2.0


def measure_overload(
    subject: Subject,
    address: str,
    *,
    read_memory_bytes: Callable[[], float],
    bound_ms: float,
    rows: int,
    measure_s: float,
    console: Console,
) -> bool:
    """Send Poisson traffic at multiples of the measured capacity; return whether all bars are reached."""
    batches = cut_batches(read_rows(subject.examples_path, subject.input_names), rows)
    bodies = make_grpc_bodies(subject.manifest.model, subject.manifest.version, batches)
    with without_garbage_collection():
        capacity = find_capacity(address, bodies, rows=rows, max_rows=subject.manifest.max_rows)
        console.print(
            f"capacity {capacity:,.1f} requests/s of {rows} rows; each may take {bound_ms:g} ms; {describe_load()}"
        )
        reached = []
        for factor in FACTORS:
            memory = read_memory_bytes()
            loaded, calm = uvloop.run(_overload(address, bodies, capacity, factor, measure_s, bound_ms / 1e3))
            reached += _judge(f"{factor:g}×", loaded, calm, capacity * measure_s, bound_ms / 1e3, console)
            growth = read_memory_bytes() / memory
            reached.append(
                print_bar(console, f"{factor:g}×: memory after ÷ before", growth, BAR_MEMORY, at_least=False)
            )
    return all(reached)


def _judge(
    name: str, loaded: Sequence[Call], calm: Sequence[Call], num_able: float, bound_s: float, console: Console
) -> list[bool]:
    """Print and judge one phase; refusals count from when their calls left: a late generator is not the server."""
    said = ", ".join(f"{count} {status}" for status, count in Counter(call.status for call in loaded).most_common())
    late_ms = [1e3 * (call.left_s - call.scheduled_s) for call in loaded]
    console.print(f"{name}: {len(loaded)} calls: {said}; left late: {_describe_ms(late_ms)}; {describe_load()}")
    goodput = sum(call.is_good(bound_s) for call in loaded) / num_able
    reached = [print_bar(console, f"{name}: in time ÷ capacity", goodput, BAR_GOODPUT)]
    refused = [call for call in loaded if call.status == REFUSED]
    if refused:
        refused_ms = [1e3 * (call.ended_s - call.left_s) for call in refused]
        console.print(
            f"{name}: refusals: {_describe_ms(refused_ms)}; "
            f"from when they were scheduled: {_describe_ms([1e3 * call.took_s for call in refused])}"
        )
        p99_ms = float(np.percentile(refused_ms, 99))
        reached.append(print_bar(console, f"{name}: refusals, p99", p99_ms, BAR_REFUSAL_MS, at_least=False, unit=" ms"))
    recovery_s = max((call.scheduled_s for call in calm if not call.is_good(bound_s)), default=0.0)
    reached.append(
        print_bar(console, f"{name}: until all is well", recovery_s, BAR_RECOVERY_S, at_least=False, unit=" s")
    )
    return reached


def _describe_ms(times_ms: Sequence[float]) -> str:
    p50, p99 = np.percentile(times_ms, (50, 99))
    return f"p50 {p50:.1f}, p99 {p99:.1f}, most {max(times_ms):.1f} ms"


def describe_load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


async def _overload(
    address: str, bodies: Sequence[bytes], capacity: float, factor: float, measure_s: float, bound_s: float
) -> tuple[list[Call], list[Call]]:
    """Overload a server, then ask of it what it can do well; return both phases' calls."""
    async with open_lean_channel(address) as channel:
        loaded = await send_poisson(channel, bodies, factor * capacity, measure_s, bound_s)
        calm = await send_poisson(channel, bodies, CALM_FACTOR * capacity, CALM_S, bound_s)
        await asyncio.sleep(bound_s + PATIENCE_S)
    return loaded, calm
