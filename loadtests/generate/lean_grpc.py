"""gRPC calls at given moments for little processor time: a generator on a server's cores must not be most of the load.

A call of grpc.aio's costs some 400 µs, one of these a tenth of that: at some thousand calls a second the first takes
away what is measured. Unary calls, and ones that are answered bit by bit, without TLS.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import cast

import ngh2

from loadtests.addresses import split_address

NUM_CONNECTIONS = 8
_PREFIX_BYTES = 5
# Statuses in words, as grpcio has them; others stay numbers.
_STATUSES = {b"0": "OK", b"4": "DEADLINE_EXCEEDED", b"8": "RESOURCE_EXHAUSTED", b"14": "UNAVAILABLE"}
CONNECTION_LOST = "CONNECTION_LOST"

# What an ended call is told: its status, its answer (empty if it failed), and when, in time.monotonic()'s seconds.
OnEnd = Callable[[str, bytes, float], None]
# What a call that goes on is told of each answer: the message and when.
OnMessage = Callable[[bytes, float], None]
Headers = Sequence[tuple[bytes, bytes]]


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._session = ngh2.Connection(ngh2.Role.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, OnEnd] = {}
        self._listeners: dict[int, OnMessage] = {}
        self._bodies: defaultdict[int, bytes] = defaultdict(bytes)
        self._statuses: dict[int, str] = {}
        self._flush_is_due = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._session.initiate_connection()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        calls, self._calls = self._calls, {}
        for on_end in calls.values():
            on_end(CONNECTION_LOST, b"", monotonic())

    def data_received(self, data: bytes) -> None:
        now_s = monotonic()
        self._session.receive_data(data)
        for event in self._session.events():
            if isinstance(event, ngh2.DataReceived):
                self._bodies[event.stream_id] += event.data
                if event.stream_id in self._listeners:
                    self._tell_messages(event.stream_id, now_s)
            elif isinstance(event, ngh2.ResponseReceived | ngh2.TrailersReceived):
                status = dict(event.headers).get(b"grpc-status")
                if status is not None:
                    self._statuses[event.stream_id] = _STATUSES.get(status, status.decode())
            elif isinstance(event, ngh2.StreamClosed):
                on_end = self._calls.pop(event.stream_id)
                self._listeners.pop(event.stream_id, None)
                body = self._bodies.pop(event.stream_id, b"")[_PREFIX_BYTES:]
                on_end(self._statuses.pop(event.stream_id, "NO_STATUS"), body, now_s)
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
        stream_id = self._session.send_request(headers)
        self._session.send_data(stream_id, body, end_stream=True)
        self._calls[stream_id] = on_end
        if on_message is not None:
            self._listeners[stream_id] = on_message
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        assert self._transport is not None
        while data := self._session.data_to_send(1 << 20):
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class LeanChannel:
    """Connections to one server, used in turn."""

    def __init__(self, address: str, connections: list[_Connection]) -> None:
        self._authority = address.encode()
        self._connections = connections
        self._next = 0

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
        headers = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", self._authority),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            (b"grpc-timeout", b"%du" % round(1e6 * timeout_s)),
            *metadata,
        ]
        self._next = (self._next + 1) % len(self._connections)
        body = len(message).to_bytes(_PREFIX_BYTES, "big") + message
        self._connections[self._next].send(headers, body, on_end, on_message)


@asynccontextmanager
async def open_lean_channel(address: str) -> AsyncIterator[LeanChannel]:
    """Connect to a gRPC server at host:port.

    Raises:
        OSError: nobody listens there.
    """
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    connections = []
    try:
        for _ in range(NUM_CONNECTIONS):
            _, connection = await loop.create_connection(_Connection, host, port)
            connections.append(connection)
        yield LeanChannel(address, connections)
    finally:
        for connection in connections:
            connection.close()
