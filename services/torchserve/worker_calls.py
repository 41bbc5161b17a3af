"""Calls to workers' own sockets: one connection to each slot of each worker, and the choice of who is asked.

What a slot is asked while it is busy waits in its socket, so that it begins without a pause for transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import cast

from model_store.call_frames import HEAD, Frame, socket_name, state_name
from services.catalogue import ServedVariant

# While no worker is there: one that was started anew is found so soon.
_LOOK_S = 0.05
# After the time at which a worker ends itself.
_LATER_S = 5.0
_CREDENTIALS = struct.Struct("3i")


class WorkerEndedError(ConnectionError):
    """The worker's process ended, or cut the connection, while it was at a call."""


class _NotBegunError(ConnectionError):
    """It ended before it had begun a call, which another worker may have."""


class _Call:
    """A frame that was sent and has not been answered; pieces go to `take`."""

    __slots__ = ("answer", "heard_s", "take")

    def __init__(self, answer: asyncio.Future[bytes], take: Callable[[bytes], None] | None, sent_s: float) -> None:
        self.answer, self.take, self.heard_s = answer, take, sent_s


class _Worker:
    """The connections to one worker's slots, and when it was last asked."""

    __slots__ = ("asked_s", "slots")

    def __init__(self) -> None:
        self.asked_s = 0.0
        self.slots: list[_Connection] = []


class _Connection(asyncio.Protocol):
    """A connection to one slot of a worker; its frames are answered in their order."""

    def __init__(
        self, worker: _Worker, state: mmap.mmap, process: int, limit_s: float, note_lost: Callable[[], None]
    ) -> None:
        """`state` is the slot's, and `process` the worker's here: 0 where it cannot be seen, as in another container.

        It ends by itself what takes longer than `limit_s`, if it can.
        """
        self.calls: deque[_Call] = deque()
        self._is_taken = False
        self._worker = worker
        self._state, self._process, self._limit_s = state, process, limit_s
        self._note_lost = note_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._received, self._wanted = 0, HEAD.size

    @property
    def load(self) -> tuple[int, int, int, float]:
        """How much there is to do: the slot's calls from here, whether it is at one from anywhere, its worker's calls
        from here, and when that was asked."""
        worker = self._worker
        return len(self.calls), self._state[0], sum([len(slot.calls) for slot in worker.slots]), worker.asked_s

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._transport is None or self._transport.is_closing()

    async def ask(self, frame: Frame, body: bytes, number: int, take: Callable[[bytes], None] | None) -> bytes:
        """Send a frame and await the end of its answer.

        Raises:
            WorkerEndedError, _NotBegunError: see there.
            TimeoutError: nothing came in time; the worker is ended where it was at this call.
        """
        assert self._transport is not None
        self._worker.asked_s = self._loop.time()
        call = _Call(self._loop.create_future(), take, self._worker.asked_s)
        self.calls.append(call)
        self._transport.writelines((HEAD.pack(len(body), frame, number), body))
        timer = self._loop.call_later(self._limit_s + _LATER_S, self._expire, call)
        try:
            return await call.answer
        finally:
            timer.cancel()

    def close(self) -> None:
        self._note_lost = lambda: None  # the worker goes on
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._received += len(data)
        if self._received < self._wanted:
            return
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        start, self._wanted = 0, HEAD.size
        while len(data) - start >= HEAD.size:
            size, frame, _ = HEAD.unpack_from(data, start)
            if len(data) - start < HEAD.size + size:
                self._wanted = HEAD.size + size
                break
            start += HEAD.size + size
            self._take(frame, data[start - size : start])
        self._parts = [data[start:]] if start < len(data) else []
        self._received = len(data) - start

    def connection_lost(self, error: Exception | None) -> None:
        self._note_lost()
        self._state.close()
        for place, call in enumerate(self.calls):
            if call.answer.done():
                continue
            if place or not self._is_taken:
                call.answer.set_exception(_NotBegunError("the worker process died before it began"))
            elif self._loop.time() - call.heard_s >= self._limit_s:
                call.answer.set_exception(TimeoutError("the worker was ended because it took too long"))
            else:
                call.answer.set_exception(WorkerEndedError("the worker process died"))
        self.calls.clear()

    def _take(self, frame: int, body: bytes) -> None:
        if frame == Frame.HELLO:
            self._is_taken = True
            return
        if frame == Frame.PIECE:
            call = self.calls[0]
            call.heard_s = self._loop.time()
            if call.take is not None and not call.answer.done():
                call.take(body)
            return
        call = self.calls.popleft()
        if self.calls:
            self.calls[0].heard_s = self._loop.time()
        if not call.answer.done():
            call.answer.set_result(body)

    def _expire(self, call: _Call) -> None:
        if call.answer.done():
            return
        left_s = call.heard_s + self._limit_s + _LATER_S - self._loop.time()
        if left_s > 0:
            self._loop.call_later(left_s, self._expire, call)
            return
        call.answer.set_exception(TimeoutError(f"no answer within {self._limit_s:g} s"))
        if self.calls[0] is call and self._process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)


class WorkerCalls:
    """Calls to the workers whose sockets are in one folder."""

    def __init__(
        self,
        folder: Path,
        list_ready: Callable[[ServedVariant], frozenset[int]],
        look_soon: Callable[[], None],
        limit_s: float,
        note_lost: Callable[[int], None] = lambda worker: None,
        slots_of: Callable[[ServedVariant], int] = lambda variant: 1,
    ) -> None:
        """`list_ready` tells a variant's workers by their process ids, `look_soon` has them looked at.

        `note_lost` is told of one that has ended, and `slots_of` says how many each of a variant's workers has.
        """
        self._folder, self._list_ready, self._look_soon, self._limit_s = folder, list_ready, look_soon, limit_s
        self._note_lost, self._slots_of = note_lost, slots_of
        self._workers: dict[int, _Worker] = {}
        self._is_closed = False

    async def ask(
        self,
        variant: ServedVariant,
        frame: Frame,
        body: bytes,
        number: int = 0,
        take: Callable[[bytes], None] | None = None,
    ) -> bytes:
        """Send a frame to the slot with least to do, of several to the worker idle longest; return the answer's end.

        Where no worker is there, wait for one.

        Raises:
            WorkerEndedError: the worker died at it.
            ConnectionError: no worker came, or there will be none.
            TimeoutError: no answer in time.
        """
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._limit_s
        while True:
            connection = await self._choose(variant)
            if connection is not None:
                with contextlib.suppress(_NotBegunError):
                    return await connection.ask(frame, body, number, take)
            if self._is_closed or loop.time() > give_up_s:
                raise ConnectionError("no worker is there")
            self._look_soon()
            await asyncio.sleep(_LOOK_S)

    def close(self) -> None:
        """Cut all connections; calls under way fail."""
        self._is_closed = True
        for worker in self._workers.values():
            _close(worker)
        self._workers.clear()

    async def _choose(self, variant: ServedVariant) -> _Connection | None:
        """Choose among a variant's slots, after connecting to workers that are new; None while none is there."""
        for process in self._list_ready(variant):
            if process not in self._workers:
                await self._connect(process, self._slots_of(variant))
        known = [self._workers[process] for process in self._list_ready(variant) if process in self._workers]
        return min([slot for worker in known for slot in worker.slots], key=attrgetter("load"), default=None)

    async def _connect(self, process: int, num_slots: int) -> None:
        worker = _Worker()
        try:
            for number in range(num_slots):
                worker.slots.append(await self._connect_slot(worker, process, number))
        except OSError:  # it has died, and is still told as ready
            _close(worker)
            self._note_lost(process)
            return
        # It may have died meanwhile, and another call may have been as fast.
        if self._is_closed or process in self._workers or any(slot.is_lost for slot in worker.slots):
            _close(worker)
        else:
            self._workers[process] = worker

    async def _connect_slot(self, worker: _Worker, process: int, number: int) -> _Connection:
        endpoint = socket.socket(socket.AF_UNIX)
        endpoint.setblocking(False)
        try:
            endpoint.connect(str(self._folder / socket_name(process, number)))
            with (self._folder / state_name(process, number)).open("r+b") as file:
                state = mmap.mmap(file.fileno(), 1)
        except OSError:
            endpoint.close()
            raise
        credentials = endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        here, _, _ = _CREDENTIALS.unpack(credentials)
        connection = _Connection(worker, state, here, self._limit_s, partial(self._lose, process))
        await asyncio.get_running_loop().create_unix_connection(lambda: connection, sock=endpoint)
        return connection

    def _lose(self, process: int) -> None:
        """Forget a worker of which a connection has ended, and cut those to its other slots."""
        worker = self._workers.pop(process, None)
        if worker is not None:
            _close(worker)
        self._note_lost(process)


def _close(worker: _Worker) -> None:
    for slot in worker.slots:
        slot.close()
