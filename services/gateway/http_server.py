"""HTTP servers in the gateway's event loop, on sockets that were opened before anything else was started."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import resource
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from services.gateway.http_protocol import HttpProtocol, NoteRefusal, note_nothing
from services.grpc_server.tls_transport import secure

# Linux closes what a killed process had open from the highest number down. What listens must go before connections:
# of the callers who came back at once a quarter met the same dying process again.
_MOST_DESCRIPTORS = 65_536
_SPARE_DESCRIPTORS = 16


class PortTakenError(RuntimeError):
    """A port of ours is used by another process."""


def open_port(host: str, port: int, setting: str, *, is_shared: bool = False) -> socket.socket:
    """Bind a port that nobody else has; 0 takes any free one. A shared one may then be joined by `join_port`.

    Raises:
        PortTakenError: names the port and what to set.
    """
    listener = _make_socket(host)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(describe_taken_port(host, port, setting, error)) from None
    if is_shared:  # not before: a second server on this port must not join unnoticed
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return listener


def join_port(host: str, port: int) -> socket.socket:
    """Bind a port besides the process that shares it; Linux then spreads new connections over all that listen.

    Raises:
        OSError: that process has gone, and another has the port.
    """
    with _make_socket(host) as low:
        number = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_DESCRIPTORS) - _SPARE_DESCRIPTORS
        listener = socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, number))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _make_socket(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio switches off the waiting for more to send (Nagle) of no other socket.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener


def describe_taken_port(host: str, port: int, setting: str, error: OSError | None = None) -> str:
    if error is not None and error.errno != errno.EADDRINUSE:
        return f"cannot listen on {host}:{port}: {error.strerror}; choose another address or port"
    option = f"--{setting.replace('_', '-')}"
    return (
        f"port {port} on {host} is taken by another process; choose another with {option} or MILLRACE_{setting.upper()}"
    )


class HttpServer:
    """One ASGI application on one listening socket."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        tls: ssl.SSLContext | None = None,
        note_refusal: NoteRefusal = note_nothing,
    ) -> None:
        """`note_refusal` is told of what the application never sees."""
        self._listener = listener
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="error",  # it warns of each request that is no HTTP, of floods of them too
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            proxy_headers=False,  # a peer is who is connected, not whom a header from this machine names: see edges.py
        )
        config.load()
        protocol: Any = partial(HttpProtocol, note_refusal=note_refusal)  # uvicorn only calls it
        config.http_protocol_class = protocol if tls is None else cast(Any, secure(protocol, tls))
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections, wait for requests in flight at most `grace_s`, then cut them."""
        if self._task is None:
            self._listener.close()
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(grace_s))
        self._server.should_exit = True
        await self._task


class _Server(uvicorn.Server):
    """Leaves signals to the process that owns the event loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
