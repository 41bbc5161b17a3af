"""Sends prepared requests, over gRPC or REST, from an event loop in a thread of its own, whoever says when."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import uvloop

from host.priority import wake_promptly
from loadtests.generate.channel import open_channel
from loadtests.generate.lean_grpc import EXPIRED, OK, OnEnd
from loadtests.generate.plan import Traffic
from loadtests.measure.recording import Recorder

TIMEOUT_S = 60.0
# A server that is asked to answer in time may be so much late to say that it does not.
PATIENCE_S = 1.0
# A thread that wants to schedule waits this long for one that computes; Python's 5 ms would be late sends.
SWITCH_S = 0.0002
POLL_S = 0.002


class Query:
    """One request: the samples that LoadGen wants answered by it; when it came due, was turned to, left and ended."""

    __slots__ = ("finished_s", "ids", "issued_s", "sent_s", "status", "turned_s")

    def __init__(self, ids: Sequence[int] = (), *, issued_s: float | None = None) -> None:
        self.ids = ids
        self.turned_s = time.perf_counter()
        self.issued_s = self.turned_s if issued_s is None else issued_s
        self.sent_s = self.finished_s = 0.0
        self.status = ""

    def tell(self, recorder: Recorder, scheduled_s: float, start_s: float) -> None:
        """Record what became of it; it was to leave `scheduled_s` after `start_s`."""
        finished_s = self.finished_s - start_s
        if self.status:
            recorder.record_error(self.status, scheduled_s=scheduled_s, finished_s=finished_s)
        else:
            sent_s, turned_s = self.sent_s - start_s, self.turned_s - start_s
            recorder.record_scheduled(scheduled_s, sent_s, finished_s, turned_s=turned_s)


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
            CallError: the call failed.
            ConnectionError: nobody listens there.
            ValueError: the examples lack an input.
        """
        sys.setswitchinterval(SWITCH_S)
        wake_promptly()
        gc.freeze()  # to look through all that was imported takes long enough to send some requests late
        self._channel, self._path, bodies = open_channel(traffic)
        self._bodies, self._on_finish = itertools.cycle(bodies), on_finish
        self._max_in_flight, self._timeout_s = max_in_flight, timeout_s
        self._waiting: deque[Query] = deque()
        self._sent: set[Query] = set()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()
        except BaseException:
            self.close()
            raise

    def submit(self, queries: Sequence[Query]) -> None:
        """Send queries now, or as slots get free; returns at once. Always from the same thread."""
        if self._max_in_flight is None:
            for query in queries:
                self._send(query, self._channel.call_now)
        else:
            self._loop.call_soon_threadsafe(self._start, queries)

    def measure_requests_per_s(self, in_flight: int, measure_s: float) -> float:
        """Measure how many requests a second are answered with this many in flight; also warms up."""
        return asyncio.run_coroutine_threadsafe(self._call_for(in_flight, measure_s), self._loop).result()

    def wait_idle(self) -> None:
        """Wait until everything submitted is answered, or given up as too late."""
        asyncio.run_coroutine_threadsafe(self._finish_all(), self._loop).result()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._channel.aclose(), self._loop).result()
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _connect(self) -> None:
        await self._channel.connect()
        await self._ask()

    async def _ask(self) -> None:
        await self._channel.ask(self._path, next(self._bodies), TIMEOUT_S)

    async def _call_for(self, in_flight: int, measure_s: float) -> float:
        start_s = time.perf_counter()
        counts = await asyncio.gather(*(self._call_until(start_s + measure_s) for _ in range(in_flight)))
        return sum(counts) / (time.perf_counter() - start_s)

    async def _call_until(self, end_s: float) -> int:
        count = 0
        while count == 0 or time.perf_counter() < end_s:
            await self._ask()
            count += 1
        return count

    async def _finish_all(self) -> None:
        while self._sent or self._waiting:
            await asyncio.sleep(POLL_S)
            given_up_s = time.perf_counter() - self._timeout_s - PATIENCE_S
            for query in [query for query in self._sent if query.sent_s < given_up_s]:
                self._end(query, EXPIRED, b"", 0.0)

    def _start(self, queries: Sequence[Query]) -> None:
        self._waiting.extend(queries)
        self._send_what_may()

    def _send_what_may(self) -> None:
        while self._waiting and self._max_in_flight is not None and len(self._sent) < self._max_in_flight:
            self._send(self._waiting.popleft(), self._channel.call)

    def _send(self, query: Query, call: Callable[[str, Any, float, OnEnd], None]) -> None:
        query.sent_s = time.perf_counter()
        self._sent.add(query)
        call(self._path, next(self._bodies), self._timeout_s, partial(self._end, query))

    def _end(self, query: Query, status: str, answer: bytes, now_s: float) -> None:
        if query not in self._sent:  # given up already
            return
        self._sent.remove(query)
        query.status = "" if status == OK else status
        query.finished_s = time.perf_counter()
        self._on_finish(query)
        self._send_what_may()
