"""REST and gRPC of one gateway process, by TLS where that is wanted."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from services.console import Console
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer
from services.gateway.rest import make_app
from services.gateway.rest_refusals import note_refusal
from services.gateway.tls import Renewal
from services.grpc_server.connection import ALPN

LOOK_FOR_CERTIFICATE_S = 5.0


class Doors:
    """Both servers of a gateway, on sockets that are bound already."""

    def __init__(self, gateway: Gateway, console: Console, http: socket.socket, grpc: socket.socket) -> None:
        settings = gateway.settings
        http_tls, grpc_tls = (settings.make_tls_context(protocol) for protocol in ("http/1.1", ALPN))
        self._renewal: Renewal | None = None
        if settings.tls_files is not None and http_tls is not None and grpc_tls is not None:
            self._renewal = Renewal(settings.tls_files, (http_tls, grpc_tls))
        self._grpc = GrpcServer(gateway, grpc, grpc_tls)
        app = make_app(gateway, console, grpc_port=self._grpc.port)
        self._http = HttpServer(app, http, http_tls, partial(note_refusal, gateway))

    @property
    def ports(self) -> dict[str, int]:
        """The ports that are really used."""
        return {"http": self._http.port, "grpc": self._grpc.port}

    async def open(self) -> None:
        """Take connections."""
        self._http.start()
        await self._grpc.start()

    def update_health(self) -> None:
        """Tell those who watch grpc.health.v1 what has changed."""
        self._grpc.update_health()

    async def close(self, grace_s: float) -> None:
        """Refuse new connections, wait for requests in flight at most `grace_s`, then cut them."""
        await asyncio.gather(self._grpc.stop(grace_s), self._http.stop(grace_s))

    async def renew_certificates(self) -> None:
        """Follow the files of TLS, for ever."""
        while self._renewal is not None:
            await asyncio.sleep(LOOK_FOR_CERTIFICATE_S)
            self._renewal.refresh()
