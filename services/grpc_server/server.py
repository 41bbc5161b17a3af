"""A server: methods behind interceptors, connections on a listening socket, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import ngh2

from services.grpc_server.buffers import Buffers
from services.grpc_server.call import Call, UnaryCall
from services.grpc_server.connection import Connection
from services.grpc_server.limits import Limits
from services.grpc_server.methods import Interceptor, Screen, Streaming, Unary
from services.grpc_server.streaming_call import StreamingCall
from services.grpc_server.tls_transport import secure

_LISTEN_BACKLOG = 1024
# Answers to pings and settings that may wait to be written.
_MAX_ACKNOWLEDGEMENTS = 1000
# Resets of calls, at first and a second from then on: many callers with short deadlines make some thousand.
_RESETS = (10_000, 5_000)

Chain = Callable[[Call[Any]], Awaitable[None]]


class Server:
    """Serve methods by path (`/package.Service/Method`) to any number of connections."""

    def __init__(
        self,
        methods: Mapping[str, Unary | Streaming],
        limits: Limits,
        *,
        interceptors: Sequence[Interceptor] = (),
        screen: Screen | None = None,
        new_request_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        """The first of the interceptors is the outermost; all see every call, also those that no method will answer.

        `screen` sees a call when only its head is here, and may have it refused before anything else is received.
        """
        self.routes: dict[bytes, tuple[str, type[Call[Any]], Unary | Streaming]] = {
            path.encode(): (path, UnaryCall if isinstance(method, Unary) else StreamingCall, method)
            for path, method in methods.items()
        }
        self.limits = limits
        self.screen = screen
        self.new_request_id = new_request_id
        self.buffers = Buffers(limits.max_unsent_bytes, limits.stall_s)
        self.connections: set[Connection] = set()
        self.chain = _build_chain(interceptors)
        self.settings = {
            ngh2.Setting.MAX_CONCURRENT_STREAMS: limits.max_streams,
            ngh2.Setting.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
            ngh2.Setting.MAX_HEADER_LIST_SIZE: limits.max_header_bytes,
        }
        self.configuration = ngh2.Configuration(
            auto_window_update=False,
            max_outbound_ack=_MAX_ACKNOWLEDGEMENTS,
            stream_reset_rate_limit=_RESETS,
            max_inbound_header_list_size=limits.max_header_bytes,
            max_inbound_header_count=limits.max_headers,
        )
        self._loop = asyncio.get_running_loop()
        self._unflushed: list[Connection] = []
        self._listener: asyncio.Server | None = None

    async def start(self, listener: socket.socket, ssl_context: ssl.SSLContext | None = None) -> None:
        """Take connections; with a context, which should offer ALPN `h2`, by TLS only."""
        make: Callable[[], asyncio.Protocol] = partial(Connection, self)
        if ssl_context is not None:
            make = secure(make, ssl_context)
        self._listener = await self._loop.create_server(make, sock=listener, backlog=_LISTEN_BACKLOG)

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections and calls, wait for calls in flight at most `grace_s`, then cut them."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self.connections):
            connection.drain()
        deadline_s = self._loop.time() + grace_s
        while self.connections and self._loop.time() < deadline_s:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)

    def flush_soon(self, connection: Connection) -> None:
        """Have a connection written at the end of this turn of the event loop, with all others that have something."""
        self._unflushed.append(connection)
        if len(self._unflushed) == 1:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, []
        for connection in unflushed:
            connection.flush()


def _build_chain(interceptors: Sequence[Interceptor]) -> Chain:
    chain: Chain = _perform
    for interceptor in reversed(interceptors):
        chain = partial(_intercept, interceptor, chain)
    return chain


def _perform(call: Call[Any]) -> Awaitable[None]:
    return call.perform()


def _intercept(interceptor: Interceptor, inner: Chain, call: Call[Any]) -> Awaitable[None]:
    return interceptor(call.context, partial(inner, call))
