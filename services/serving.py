"""A serving process: one TorchServe, one gateway in front of it, from start to drain."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

import structlog

from model_store.store import Store
from services.catalogue import Catalogue
from services.console import Console
from services.gateway.core import Gateway
from services.gateway.errors import NotReadyError
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer, open_port
from services.gateway.pace import check_pace
from services.gateway.rest import make_app, make_metrics_app
from services.gateway.settings import GatewaySettings
from services.gateway.tls import Renewal
from services.grpc_server.connection import ALPN
from services.lifecycle import Lifecycle
from services.selection import Wish
from services.torchserve.command import StartError
from services.torchserve.memory import list_descendants, read_share_bytes
from services.torchserve.metrics import EngineMetrics
from services.torchserve.server import TorchServe
from services.torchserve.settings import TorchServeSettings

logger = structlog.get_logger("serving")

RETRY_S = 0.5
LOOK_FOR_IDLE_S = 15.0
LOOK_FOR_CERTIFICATE_S = 5.0


def check_settings(torchserve: TorchServeSettings, gateway: GatewaySettings) -> None:
    """Refuse settings that do not fit together.

    Raises:
        ValueError: names them and what to change.
    """
    gateway.make_tls_context(ALPN)
    gateway.make_guard()
    gateway.check_openness()
    for name, is_set in (("ROUTING", gateway.routing is not None), ("MODEL_CONTROL", gateway.model_control)):
        if is_set and not gateway.follow:
            raise ValueError(f"MILLRACE_{name} needs MILLRACE_FOLLOW, which is off; set that or leave it out")
    if gateway.max_body_mib > torchserve.max_message_mib:
        raise ValueError(
            f"MILLRACE_MAX_BODY_MIB is {gateway.max_body_mib}, but a worker takes at most MILLRACE_MAX_MESSAGE_MIB = "
            f"{torchserve.max_message_mib} at once; raise that one or lower the first"
        )


class Memory(NamedTuple):
    """Resident memory in bytes; pages that several processes share are counted once in the sum of all."""

    workers: dict[str, list[int]]
    total: int


class Serving:
    """Serve a catalogue; as an async context manager, ready inside and gone without a trace after it."""

    def __init__(
        self,
        catalogue: Catalogue,
        torchserve: TorchServeSettings,
        gateway: GatewaySettings,
        store: Store,
        wish: Wish,
        report_progress: Callable[[int, int], None] = lambda ready, total: None,
    ) -> None:
        """`catalogue` is what `wish` came to in `store`, which is followed from then on unless `gateway` says no."""
        self._report_progress = report_progress
        self._settings = gateway
        self._startup_timeout_s = torchserve.startup_timeout_s
        self._workers_changed = asyncio.Event()
        self._torchserve = TorchServe(catalogue.variants, torchserve, self._handle_change)
        self.gateway = Gateway(catalogue, self._torchserve, gateway)
        self.gateway.metrics.registry.register(EngineMetrics(self._torchserve))
        self._console = Console(self.gateway, store)
        self._keepers: list[asyncio.Task[None]] = []
        self._lifecycle = None
        if gateway.follow:
            self._lifecycle = Lifecycle(
                store,
                wish,
                self.gateway,
                self._torchserve,
                startup_timeout_s=torchserve.startup_timeout_s,
                on_change=lambda: self._grpc.update_health(),
            )
            if gateway.model_control:
                self.gateway.control = self._lifecycle
        http_tls, grpc_tls = (gateway.make_tls_context(protocol) for protocol in ("http/1.1", ALPN))
        self._renewal: Renewal | None = None
        if gateway.tls_files is not None and http_tls is not None and grpc_tls is not None:
            self._renewal = Renewal(gateway.tls_files, (http_tls, grpc_tls))
        # All ports first: what is taken must show before anything is started.
        with contextlib.ExitStack() as opened:
            http = opened.enter_context(contextlib.closing(open_port(gateway.host, gateway.http_port, "http_port")))
            metrics = opened.enter_context(
                contextlib.closing(
                    open_port(gateway.metrics_host or gateway.host, gateway.metrics_port, "metrics_port")
                )
            )
            grpc = opened.enter_context(contextlib.closing(open_port(gateway.host, gateway.grpc_port, "grpc_port")))
            opened.pop_all()
        self._grpc = GrpcServer(self.gateway, grpc, grpc_tls)
        self._http = HttpServer(make_app(self.gateway, self._console, grpc_port=self._grpc.port), http, http_tls)
        self._metrics = HttpServer(make_metrics_app(self.gateway), metrics)

    @property
    def ports(self) -> dict[str, int]:
        """The ports that are really used."""
        return {"http": self._http.port, "grpc": self._grpc.port, "metrics": self._metrics.port}

    def measure_memory(self) -> Memory:
        """Measure what this process and all that it started hold."""
        workers = {
            str(variant): [read_share_bytes(pid) for pid in self._torchserve.ready_workers(variant)]
            for variant in self.gateway.catalogue.variants
        }
        return Memory(workers, sum(map(read_share_bytes, list_descendants(os.getpid()))))

    async def start(self) -> None:
        """Open the doors (live, not ready), then start TorchServe and return when every model answers.

        Raises:
            StartError: a worker did not start, or does not answer; everything is stopped again.
        """
        try:
            self._http.start()
            self._metrics.start()
            await self._grpc.start()
            await self._torchserve.start(self._report_progress)
            if self._lifecycle is not None:
                await self._lifecycle.look()  # before anything is ready: from the first request on it is routed
            await self._prove_all()
        except BaseException:
            await self.stop()
            raise
        follow = [] if self._lifecycle is None else [self._lifecycle.run]
        keepers = (self._keep_ready, self._check_when_idle, self._renew_certificates, self._console.remember, *follow)
        self._keepers = [asyncio.create_task(work()) for work in keepers]

    async def stop(self) -> None:
        """Drain: not ready first, then closed doors, then the end of requests in flight, then TorchServe."""
        settings = self._settings
        was_serving = bool(self._keepers)
        self.gateway.is_draining = True
        if was_serving:
            for keeper in self._keepers:
                keeper.cancel()
            await asyncio.gather(*self._keepers, return_exceptions=True)
            self._keepers = []
            self._grpc.update_health()
            await asyncio.sleep(settings.drain_delay_s)
        grace_s = settings.drain_timeout_s if was_serving else 0
        await asyncio.gather(self._grpc.stop(grace_s), self._http.stop(grace_s), self._metrics.stop(0))
        await self.gateway.close()
        await self._console.close()
        await self._torchserve.stop()

    def _handle_change(self) -> None:
        """Tell those who watch of workers that went away at once, and have those that came prove that they answer."""
        self._grpc.update_health()
        self._workers_changed.set()

    async def _prove_all(self) -> None:
        """Have every version answer through the front door; from then on everything is ready.

        Raises:
            StartError: a version cannot answer its own example.
        """
        try:
            async with asyncio.timeout(self._startup_timeout_s):
                await self._prove_patiently()
        except TimeoutError:
            said = self._torchserve.tail()
            raise StartError(f"workers were ready, but died before all versions had answered:\n{said}") from None
        self._grpc.update_health()
        for variant in self.gateway.catalogue.variants:
            if self.gateway.readiness.is_ready(variant):
                await check_pace(variant, self.gateway.infer)

    async def _prove_patiently(self) -> None:
        while True:
            for variant, error in await self.gateway.readiness.prove():
                if not isinstance(error, NotReadyError):  # its worker died: another comes
                    raise StartError(f"{variant} does not answer its own example: {error}\n{error.cause}".rstrip())
            if self.gateway.readiness.was_complete:
                return
            await asyncio.sleep(RETRY_S)

    async def _keep_ready(self) -> None:
        while True:
            await self._workers_changed.wait()
            self._workers_changed.clear()
            try:
                failures = await self.gateway.readiness.prove()
            except Exception:
                logger.exception("readiness could not be proven; trying again")
                failures = []
                self._workers_changed.set()
            for variant, error in failures:
                why = f"{error} {error.cause}".rstrip()
                logger.error("does not answer its own example; trying again", variant=str(variant), why=why)
                self._workers_changed.set()
            self._grpc.update_health()
            await asyncio.sleep(RETRY_S)

    async def _renew_certificates(self) -> None:
        while self._renewal is not None:
            await asyncio.sleep(LOOK_FOR_CERTIFICATE_S)
            self._renewal.refresh()

    async def _check_when_idle(self) -> None:
        while True:
            await asyncio.sleep(LOOK_FOR_IDLE_S)
            try:
                await self.gateway.readiness.check_idle()
            except Exception:
                logger.exception("golden rows could not be checked; trying again")
            self._grpc.update_health()

    async def __aenter__(self) -> Serving:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
