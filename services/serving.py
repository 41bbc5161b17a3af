"""A serving process: one TorchServe, one gateway in front of it, from start to drain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType

import structlog

from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.grpc_server import GrpcServer
from services.gateway.http_server import HttpServer, open_port
from services.gateway.rest import make_app, make_metrics_app
from services.gateway.settings import GatewaySettings
from services.torchserve.server import TorchServe
from services.torchserve.settings import TorchServeSettings

logger = structlog.get_logger("serving")

WATCH_S = 0.5


class Serving:
    """Serve a catalogue; as an async context manager, ready inside and gone without a trace after it."""

    def __init__(
        self,
        catalogue: Catalogue,
        torchserve: TorchServeSettings,
        gateway: GatewaySettings,
        report_progress: Callable[[int, int], None] = lambda ready, total: None,
    ) -> None:
        self._report_progress = report_progress
        self._settings = gateway
        self._torchserve = TorchServe(catalogue.variants, torchserve)
        self.gateway = Gateway(catalogue, self._torchserve, gateway)
        self._watcher: asyncio.Task[None] | None = None
        # All ports first: what is taken must show before anything is started.
        with contextlib.ExitStack() as opened:
            http = opened.enter_context(contextlib.closing(open_port(gateway.host, gateway.http_port, "http_port")))
            metrics = opened.enter_context(
                contextlib.closing(open_port(gateway.host, gateway.metrics_port, "metrics_port"))
            )
            grpc = opened.enter_context(contextlib.closing(open_port(gateway.host, gateway.grpc_port, "grpc_port")))
            opened.pop_all()
        self._grpc = GrpcServer(self.gateway, grpc)
        self._http = HttpServer(make_app(self.gateway), http)
        self._metrics = HttpServer(make_metrics_app(self.gateway), metrics)

    @property
    def ports(self) -> dict[str, int]:
        """The ports that are really used."""
        return {"http": self._http.port, "grpc": self._grpc.port, "metrics": self._metrics.port}

    async def start(self) -> None:
        """Open the doors (live, not ready), then start TorchServe and return when every model answers.

        Raises:
            StartError: a worker did not start; everything is stopped again.
        """
        try:
            self._http.start()
            self._metrics.start()
            await self._grpc.start()
            await self._torchserve.start(self._report_progress)
            self._update_state()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Drain: not ready first, then closed doors, then the end of requests in flight, then TorchServe."""
        settings = self._settings
        was_serving = self._watcher is not None
        self.gateway.is_draining = True
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
            self._update_state()
            await asyncio.sleep(settings.drain_delay_s)
        grace_s = settings.drain_timeout_s if was_serving else 0
        await asyncio.gather(self._grpc.stop(grace_s), self._http.stop(grace_s), self._metrics.stop(0))
        await self._torchserve.stop()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            self._update_state()

    def _update_state(self) -> None:
        self.gateway.update_ready_metrics()
        self._grpc.update_health()

    async def __aenter__(self) -> Serving:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
