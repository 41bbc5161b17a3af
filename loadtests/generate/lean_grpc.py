"""gRPC calls at given moments for little processor time: a generator on a server's cores must not be most of the load.

A call of grpc.aio's costs some 400 µs, one of these a tenth of that: at some thousand calls a second the first takes
away what is measured. Unary calls, and ones that are answered bit by bit.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic
from typing import cast
from urllib.parse import unquote

import grpc
import ngh2

from loadtests.addresses import split_address
from services.client.tls import NO_TLS, Tls

NUM_CONNECTIONS = 8
RECONNECT_S = 0.2
_PREFIX_BYTES = 5
_STATUSES = {str(status.value[0]).encode(): status.name for status in grpc.StatusCode}
START_ONE = "start one (`serve`) or give another address"
OK, EXPIRED, CONNECTION_LOST = "OK", "DEADLINE_EXCEEDED", "CONNECTION_LOST"

# What an ended call is told: its status, its answer or why it failed, and when, in time.monotonic()'s seconds.
OnEnd = Callable[[str, bytes, float], None]
# What a call that goes on is told of each answer: the message and when.
OnMessage = Callable[[bytes, float], None]
Headers = Sequence[tuple[bytes, bytes]]


class CallError(Exception):
    """A call that failed; its text is the status and what the server said of it."""


class _Connection(asyncio.Protocol):
    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        # What the session wants sent has to leave in its order, whichever thread asked for it.
        self._lock = threading.Lock()
        self._unsent = b""
        self._session = ngh2.Connection(ngh2.Role.CLIENT)
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, OnEnd] = {}
        self._listeners: dict[int, OnMessage] = {}
        self._bodies: defaultdict[int, bytes] = defaultdict(bytes)
        self._statuses: dict[int, str] = {}
        self._reasons: dict[int, bytes] = {}
        self._flush_is_due = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._session.initiate_connection()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        with self._lock:
            self._transport = None
            calls, self._calls = self._calls, {}
        for on_end in calls.values():
            on_end(CONNECTION_LOST, b"", monotonic())
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        now_s = monotonic()
        with self._lock:
            self._session.receive_data(data)
            events = list(self._session.events())
        for event in events:
            if isinstance(event, ngh2.DataReceived):
                self._bodies[event.stream_id] += event.data
                if event.stream_id in self._listeners:
                    self._tell_messages(event.stream_id, now_s)
            elif isinstance(event, ngh2.ResponseReceived | ngh2.TrailersReceived):
                headers = dict(event.headers)
                status = headers.get(b"grpc-status")
                if status is not None:
                    self._statuses[event.stream_id] = _STATUSES.get(status, status.decode())
                    self._reasons[event.stream_id] = headers.get(b"grpc-message", b"")
            elif isinstance(event, ngh2.StreamClosed):
                on_end = self._calls.pop(event.stream_id)
                self._listeners.pop(event.stream_id, None)
                body = self._bodies.pop(event.stream_id, b"")[_PREFIX_BYTES:]
                said, reason = self._statuses.pop(event.stream_id, "NO_STATUS"), self._reasons.pop(event.stream_id, b"")
                on_end(said, body if said == OK else reason, now_s)
        self._flush_soon()

    def _tell_messages(self, stream_id: int, now_s: float) -> None:
        rest = self._bodies[stream_id]
        while len(rest) >= _PREFIX_BYTES:
            end = _PREFIX_BYTES + int.from_bytes(rest[1:_PREFIX_BYTES], "big")
            if len(rest) < end:
                break
            self._listeners[stream_id](rest[_PREFIX_BYTES:end], now_s)
            rest = rest[end:]
        self._bodies[stream_id] = rest

    def send(
        self, headers: list[tuple[bytes, bytes]], body: bytes, on_end: OnEnd, on_message: OnMessage | None = None
    ) -> None:
        if self._transport is None:
            # Later, as every other end: who sends the next call when one ends would call itself.
            self._loop.call_soon(on_end, CONNECTION_LOST, b"", monotonic())
            return
        with self._lock:
            self._begin(headers, body, on_end, on_message)
        self._flush_soon()

    def send_now(self, headers: list[tuple[bytes, bytes]], body: bytes, on_end: OnEnd) -> None:
        """Send from any other thread than the event loop's, without waiting until that wakes up."""
        with self._lock:
            transport = self._transport
            if transport is None:
                self._loop.call_soon_threadsafe(on_end, CONNECTION_LOST, b"", monotonic())
                return
            self._begin(headers, body, on_end)
            is_free = not self._unsent and not transport.get_write_buffer_size()
            if is_free and not transport.get_extra_info("sslcontext"):
                self._unsent = self._take()
                with suppress(OSError):  # full, or lost: the event loop finds out which
                    self._unsent = self._unsent[os.write(transport.get_extra_info("socket").fileno(), self._unsent) :]
                if not self._unsent:
                    return
        self._loop.call_soon_threadsafe(self._flush)

    def _begin(
        self, headers: list[tuple[bytes, bytes]], body: bytes, on_end: OnEnd, on_message: OnMessage | None = None
    ) -> None:
        stream_id = self._session.send_request(headers)
        self._session.send_data(stream_id, body, end_stream=True)
        self._calls[stream_id] = on_end
        if on_message is not None:
            self._listeners[stream_id] = on_message

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        with self._lock:
            if self._transport is not None and (data := self._unsent + self._take()):
                self._unsent = b""
                self._transport.write(data)

    def _take(self) -> bytes:
        return b"".join(iter(partial(self._session.data_to_send, 1 << 20), b""))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class LeanChannel:
    """Connections to one server, used in turn; one that is lost is made anew."""

    def __init__(self, address: str, tls: Tls = NO_TLS, metadata: Mapping[str, str] | None = None) -> None:
        self._authority = tls.strip_scheme(address)
        self._context = None
        if tls.is_wanted(address):
            self._context = tls.make_context()
            self._context.set_alpn_protocols(["h2"])
        self._headers = [
            (b":method", b"POST"),
            (b":scheme", b"https" if self._context else b"http"),
            (b":authority", self._authority.encode()),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            *((name.encode(), value.encode()) for name, value in (metadata or {}).items()),
        ]
        self._connections: list[_Connection] = []
        self._reconnecting: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._next = 0

    async def connect(self) -> None:
        """Make all connections.

        Raises:
            ConnectionError: nobody listens there, or who does is not trusted.
        """
        try:
            for index in range(NUM_CONNECTIONS):
                self._connections.append(await self._connect(index))
        except OSError as error:
            raise ConnectionError(f"no server answers at {self._authority}: {error}; {START_ONE}") from error

    def call(
        self,
        path: str,
        message: bytes,
        timeout_s: float,
        on_end: OnEnd,
        on_message: OnMessage | None = None,
        metadata: Headers = (),
    ) -> None:
        """Start a call; at the end of this turn of the event loop it leaves.

        `on_message` hears each answer of a method that gives several.
        """
        headers = [*self._make_headers(path, timeout_s), *metadata]
        self._choose_connection().send(headers, _frame(message), on_end, on_message)

    def call_now(self, path: str, message: bytes, timeout_s: float, on_end: OnEnd) -> None:
        """Start a call from one other thread than the event loop's; it has left when this returns.

        To hand it to the event loop would take until the system wakes that up, which may be late. `on_end` is called
        there all the same.
        """
        self._choose_connection().send_now(self._make_headers(path, timeout_s), _frame(message), on_end)

    def _make_headers(self, path: str, timeout_s: float) -> list[tuple[bytes, bytes]]:
        # HTTP/2 wants pseudo-headers first.
        return [(b":path", path.encode()), *self._headers, (b"grpc-timeout", b"%du" % round(1e6 * timeout_s))]

    def _choose_connection(self) -> _Connection:
        self._next = (self._next + 1) % len(self._connections)
        return self._connections[self._next]

    async def ask(self, path: str, message: bytes, timeout_s: float) -> bytes:
        """Make a unary call and wait for its answer.

        Raises:
            CallError: it failed.
            TimeoutError: no answer came in time, not even that it is too late.
        """
        ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def end(status: str, answer: bytes, now_s: float) -> None:
            if ended.done():
                return
            if status == OK:
                ended.set_result(answer)
            else:
                ended.set_exception(CallError(f"{status}: {unquote(answer.decode())}"))

        self.call(path, message, timeout_s, end)
        return await asyncio.wait_for(ended, timeout_s)

    def close(self) -> None:
        self._is_closed = True
        for task in self._reconnecting:
            task.cancel()
        for connection in self._connections:
            connection.close()

    async def aclose(self) -> None:
        self.close()

    async def _connect(self, index: int) -> _Connection:
        host, port = split_address(self._authority)
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(partial(self._replace, index)), host, port, ssl=self._context
        )
        return connection

    def _replace(self, index: int) -> None:
        if not self._is_closed:
            task = asyncio.get_running_loop().create_task(self._reconnect(index))
            self._reconnecting.add(task)
            task.add_done_callback(self._reconnecting.discard)

    async def _reconnect(self, index: int) -> None:
        while True:
            await asyncio.sleep(RECONNECT_S)
            try:
                self._connections[index] = await self._connect(index)
                return
            except OSError:
                continue


def _frame(message: bytes) -> bytes:
    return len(message).to_bytes(_PREFIX_BYTES, "big") + message


@asynccontextmanager
async def open_lean_channel(address: str) -> AsyncIterator[LeanChannel]:
    """Connect to a gRPC server at host:port.

    Raises:
        OSError: nobody listens there.
    """
    channel = LeanChannel(address)
    try:
        await channel.connect()
        yield channel
    finally:
        channel.close()
