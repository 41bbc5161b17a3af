"""Calls for `loadtest bench overload`: as many as are answered, and more than that at random moments."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic

import numpy as np
import uvloop

from loadtests.generate.arrivals import draw_arrivals
from loadtests.generate.lean_grpc import LeanChannel, open_lean_channel
from model_store.open_inference import INFER_PATH

REFUSED = "RESOURCE_EXHAUSTED"
# Batches' worth of requests under way while the capacity is measured: one in the worker, one before it, one coming.
CAPACITY_BATCHES = 3
CAPACITY_S, WARM_UP_S, CAPACITY_TIMEOUT_S = 8.0, 2.0, 30.0
TICK_S = 0.001


@dataclass(slots=True)
class Call:
    """One call of an open loop; seconds from the start of its phase."""

    scheduled_s: float
    left_s: float = math.inf
    ended_s: float = math.inf
    status: str = "NO_ANSWER"
    answer: bytes = b""

    @property
    def took_s(self) -> float:
        """From when it was scheduled, the generator's own lateness included."""
        return self.ended_s - self.scheduled_s

    def is_good(self, bound_s: float) -> bool:
        return self.status == "OK" and self.took_s <= bound_s


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Calls make no cycles, and looking for them among some hundred thousand makes the generator late."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def find_capacity(address: str, bodies: Sequence[bytes], *, rows: int, max_rows: int) -> float:
    """Measure the requests of `rows` rows a second that a version answers, whose batches hold `max_rows`.

    Raises:
        RuntimeError: a call failed.
    """
    return uvloop.run(measure_capacity(address, bodies, math.ceil(CAPACITY_BATCHES * max_rows / rows)))


async def measure_capacity(address: str, bodies: Sequence[bytes], num_callers: int) -> float:
    """Count the requests a second that are answered while there are always some more batches of them.

    Raises:
        RuntimeError: a call failed.
    """
    start_s = monotonic() + WARM_UP_S
    end_s = start_s + CAPACITY_S
    num_answered, num_open = 0, num_callers
    turns = itertools.cycle(bodies)
    async with open_lean_channel(address) as channel:
        finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> None:
            channel.call(INFER_PATH, next(turns), CAPACITY_TIMEOUT_S, end)

        def end(status: str, answer: bytes, now_s: float) -> None:
            nonlocal num_answered, num_open
            num_answered += start_s <= now_s < end_s
            if status != "OK" and not finished.done():
                finished.set_exception(RuntimeError(f"a call failed while capacity was measured: {status}"))
            elif now_s < end_s:
                begin()
            else:
                num_open -= 1
                if not num_open:
                    finished.set_result(None)

        for _ in range(num_callers):
            begin()
        await finished
    return num_answered / CAPACITY_S


async def send_poisson(
    channel: LeanChannel, bodies: Sequence[bytes], rate: float, seconds: float, bound_s: float
) -> list[Call]:
    moments = draw_arrivals(rate, np.random.default_rng(0))
    calls = [Call(moment_s) for moment_s in itertools.takewhile(lambda moment_s: moment_s < seconds, moments)]
    start_s = monotonic()
    for call, body in zip(calls, itertools.cycle(bodies), strict=False):
        while (now_s := monotonic() - start_s) < call.scheduled_s:
            await asyncio.sleep(max(TICK_S, call.scheduled_s - now_s))
        call.left_s = now_s
        channel.call(INFER_PATH, body, bound_s, partial(_end, call, start_s))
    await asyncio.sleep(max(0.0, start_s + seconds - monotonic()))
    return calls


def _end(call: Call, start_s: float, status: str, answer: bytes, now_s: float) -> None:
    call.status, call.answer, call.ended_s = status, answer, now_s - start_s
