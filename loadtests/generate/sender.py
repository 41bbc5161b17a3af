"""Sends prepared requests over gRPC from an event loop in a thread of its own, whoever says when."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
import threading
import time
from collections.abc import Callable, Sequence

import grpc
import uvloop

from loadtests.generate.payload import make_bodies
from loadtests.generate.plan import Traffic
from model_store.open_inference import INFER_PATH
from services.client.credentials import make_headers

TIMEOUT_S = 60.0
# A thread that wants to schedule waits this long for one that computes; Python's 5 ms would be late sends.
SWITCH_S = 0.0002


class Query:
    """One request: the samples that LoadGen wants answered by it, and when it came, left and was answered."""

    __slots__ = ("finished_s", "ids", "issued_s", "sent_s", "status")

    def __init__(self, ids: Sequence[int] = (), *, issued_s: float | None = None) -> None:
        self.ids = ids
        self.issued_s = time.perf_counter() if issued_s is None else issued_s
        self.sent_s = self.finished_s = 0.0
        self.status = ""


class Sender:
    """Sends over one channel; `on_finish` is called from the event loop's thread."""

    def __init__(
        self,
        traffic: Traffic,
        *,
        on_finish: Callable[[Query], None] = lambda query: None,
        max_in_flight: int | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Connect and make one call.

        Raises:
            grpc.aio.AioRpcError: the call failed.
            ValueError: the examples lack an input.
        """
        sys.setswitchinterval(SWITCH_S)
        self._traffic, self._bodies, self._on_finish = traffic, itertools.cycle(make_bodies(traffic)), on_finish
        self._max_in_flight, self._timeout_s = max_in_flight, timeout_s
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()

    def submit(self, queries: Sequence[Query]) -> None:
        """Send queries now, or as slots get free; returns at once."""
        self._loop.call_soon_threadsafe(self._start, queries)

    def measure_requests_per_s(self, in_flight: int, measure_s: float) -> float:
        """Measure how many requests a second are answered with this many in flight; also warms up."""
        return asyncio.run_coroutine_threadsafe(self._call_for(in_flight, measure_s), self._loop).result()

    def wait_idle(self) -> None:
        """Wait until everything submitted is answered."""
        asyncio.run_coroutine_threadsafe(self._finish_all(), self._loop).result()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._channel.close(None), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _connect(self) -> None:
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        self._channel = self._traffic.tls.open_channel(grpc.aio, self._traffic.url, options)
        infer = self._channel.unary_unary(INFER_PATH, None, None)
        self._infer = functools.partial(infer, metadata=tuple(make_headers().items()))
        self._slots = asyncio.Semaphore(self._max_in_flight or 1)
        self._tasks: set[asyncio.Task[None]] = set()
        await self._infer(next(self._bodies), timeout=TIMEOUT_S)

    async def _call_for(self, in_flight: int, measure_s: float) -> float:
        start_s = time.perf_counter()
        counts = await asyncio.gather(*(self._call_until(start_s + measure_s) for _ in range(in_flight)))
        return sum(counts) / (time.perf_counter() - start_s)

    async def _call_until(self, end_s: float) -> int:
        count = 0
        while count == 0 or time.perf_counter() < end_s:
            await self._infer(next(self._bodies), timeout=TIMEOUT_S)
            count += 1
        return count

    async def _finish_all(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _start(self, queries: Sequence[Query]) -> None:
        send = self._send_when_free if self._max_in_flight else self._send
        for query in queries:
            task = self._loop.create_task(send(query))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_when_free(self, query: Query) -> None:
        async with self._slots:
            await self._send(query)

    async def _send(self, query: Query) -> None:
        query.sent_s = time.perf_counter()
        try:
            await self._infer(next(self._bodies), timeout=self._timeout_s)
        except grpc.aio.AioRpcError as error:
            query.status = error.code().name
        query.finished_s = time.perf_counter()
        self._on_finish(query)
