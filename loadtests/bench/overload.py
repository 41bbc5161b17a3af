"""More asked of a version than it can do: what is answered in time, how fast the rest is refused, when all is well."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import grpc
import numpy as np
from rich.console import Console

from loadtests.bench.ratio import print_bar
from loadtests.bench.throughput import measure_rows_per_s
from loadtests.generate.payload import cut_batches, make_grpc_bodies, read_rows
from loadtests.subject import Subject
from model_store.open_inference import SERVICE

FACTORS = (1.5, 3.0)
BAR_GOODPUT = 0.9
BAR_REFUSAL_MS = 10.0
BAR_RECOVERY_S = 2.0
CALM_FACTOR, CALM_S = 0.4, 4.0
REFUSED = "RESOURCE_EXHAUSTED"


@dataclass(frozen=True, slots=True)
class Call:
    """One call; times in seconds, `took_s` from when it was scheduled."""

    scheduled_s: float
    took_s: float
    status: str


def measure_overload(
    subject: Subject, url: str, *, bound_ms: float, rows: int, measure_s: float, console: Console
) -> bool:
    """Send Poisson traffic at multiples of the measured capacity; return whether all bars are reached."""
    capacity = measure_rows_per_s(subject, url, measure_s) / rows
    console.print(f"capacity {capacity:,.1f} requests/s of {rows} rows; each may take {bound_ms:g} ms")
    batches = cut_batches(read_rows(subject.examples_path, subject.input_names), rows)
    bodies = make_grpc_bodies(subject.manifest.model, subject.manifest.version, batches)
    reached = []
    for factor in FACTORS:
        loaded, calm = asyncio.run(_load(url, bodies, capacity, factor, measure_s, bound_ms / 1e3))
        good = sum(call.status == "OK" and call.took_s <= bound_ms / 1e3 for call in loaded)
        refused_ms = [1e3 * call.took_s for call in loaded if call.status == REFUSED]
        late_s = [call.scheduled_s for call in calm if call.status != "OK" or call.took_s > bound_ms / 1e3]
        statuses = Counter(call.status for call in loaded)
        said = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
        console.print(f"{factor:g}× capacity: {len(loaded)} calls: {said}")
        goodput = good / measure_s / capacity
        reached.append(print_bar(console, f"{factor:g}×: in time ÷ capacity", goodput, BAR_GOODPUT))
        if refused_ms:
            p99_ms = float(np.percentile(refused_ms, 99))
            reached.append(
                print_bar(console, f"{factor:g}×: refusals, p99", p99_ms, BAR_REFUSAL_MS, at_least=False, unit=" ms")
            )
        recovery_s = max(late_s, default=0.0)
        reached.append(
            print_bar(console, f"{factor:g}×: until all is well", recovery_s, BAR_RECOVERY_S, at_least=False, unit=" s")
        )
    return all(reached)


async def _load(
    url: str, bodies: Sequence[bytes], capacity: float, factor: float, measure_s: float, bound_s: float
) -> tuple[list[Call], list[Call]]:
    """Overload a server, then ask of it what it can do well; return both phases' calls."""
    async with grpc.aio.insecure_channel(url) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer", None, None)
        await infer(bodies[0], timeout=30)
        loaded = await _send_poisson(infer, bodies, factor * capacity, measure_s, bound_s)
        calm = await _send_poisson(infer, bodies, CALM_FACTOR * capacity, CALM_S, bound_s)
        return loaded, calm


async def _send_poisson(
    infer: grpc.aio.UnaryUnaryMultiCallable, bodies: Sequence[bytes], rate: float, seconds: float, bound_s: float
) -> list[Call]:
    random = np.random.default_rng(0)
    moments = np.cumsum(random.exponential(1 / rate, int(2 * rate * seconds) + 10))
    start_s = monotonic()
    calls = []
    for moment_s, body in zip(moments[moments < seconds], itertools.cycle(bodies), strict=False):
        await asyncio.sleep(max(0.0, start_s + moment_s - monotonic()))
        calls.append(asyncio.create_task(_call(infer, body, start_s, float(moment_s), bound_s)))
    return list(await asyncio.gather(*calls))


async def _call(
    infer: grpc.aio.UnaryUnaryMultiCallable, body: bytes, start_s: float, scheduled_s: float, bound_s: float
) -> Call:
    status = "OK"
    try:
        await infer(body, timeout=bound_s)
    except grpc.aio.AioRpcError as error:
        status = error.code().name
    return Call(scheduled_s, monotonic() - start_s - scheduled_s, status)
