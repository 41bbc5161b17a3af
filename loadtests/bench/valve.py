"""Refusals of an overloaded version with its valve shut and open: a faster variant answers those who take any."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

import uvloop
from rich.console import Console

from loadtests.bench.arrivals import (
    REFUSED,
    Call,
    find_capacity,
    send_poisson,
    without_garbage_collection,
)
from loadtests.bench.overload import FACTORS, PATIENCE_S, describe_load
from loadtests.bench.ratio import print_bar
from loadtests.generate.lean_grpc import open_lean_channel
from loadtests.generate.payload import cut_batches, read_rows
from loadtests.subject import Subject
from services.client.wire import decode_infer_response, encode_infer_request

BAR_SPARED = 0.3
BAR_SPEED = 1.5


def compare_valve(
    slow: Subject,
    fast: Subject,
    address: str,
    *,
    bound_ms: float,
    rows: int,
    repeats: int,
    measure_s: float,
    console: Console,
) -> bool:
    """Overload the default version in turn with the valve shut and open; return whether all bars are reached."""
    batches = cut_batches(read_rows(slow.examples_path, slow.input_names), rows)
    model = slow.manifest.model

    def make_bodies(version: str = "", **parameters: str) -> list[bytes]:
        return [encode_infer_request(model, batch, version=version, parameters=parameters) for batch in batches]

    shut, opened = make_bodies(), make_bodies(variant="any")
    max_rows = slow.manifest.max_rows
    bound_s = bound_ms / 1e3
    with without_garbage_collection():
        capacity = find_capacity(address, shut, rows=rows, max_rows=max_rows)
        faster = find_capacity(address, make_bodies(fast.manifest.version), rows=rows, max_rows=max_rows)
        console.print(f"{slow.name} {capacity:,.1f}, {fast.name} {faster:,.1f} requests/s; {describe_load()}")
        reached = [print_bar(console, f"{fast.name} ÷ {slow.name}", faster / capacity, BAR_SPEED, unit="×")]
        for factor in FACTORS:
            spared = []
            for _ in range(repeats):
                shares = []
                for bodies in (shut, opened):
                    calls = uvloop.run(_overload(address, bodies, factor * capacity, measure_s, bound_s))
                    shares.append(_share_refused(calls))
                    good = sum(call.is_good(bound_s) for call in calls)
                    state = "shut" if bodies is shut else "open"
                    console.print(
                        f"  {factor:g}×, valve {state}: {shares[-1]:.1%} of {len(calls)} refused, {good} in time, "
                        f"{_count_answers(calls, fast.manifest.version)} by {fast.name}; {describe_load()}"
                    )
                spared.append(1 - shares[1] / shares[0] if shares[0] else 0.0)
            reached.append(print_bar(console, f"{factor:g}×: refusals spared", median(spared), BAR_SPARED))
    return all(reached)


async def _overload(
    address: str, bodies: Sequence[bytes], rate: float, measure_s: float, bound_s: float
) -> Sequence[Call]:
    async with open_lean_channel(address) as channel:
        calls = await send_poisson(channel, bodies, rate, measure_s, bound_s)
        await asyncio.sleep(bound_s + PATIENCE_S)
    return calls


def _share_refused(calls: Sequence[Call]) -> float:
    return sum(call.status == REFUSED for call in calls) / len(calls)


def _count_answers(calls: Sequence[Call], version: str) -> int:
    return sum(call.status == "OK" and decode_infer_response(call.answer).version == version for call in calls)
