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
from services.doors import Doors
from services.gateway.core import Gateway
from services.gateway.edges import TrustedEdges
from services.gateway.errors import NotReadyError
from services.gateway.http_server import HttpServer, open_port
from services.gateway.metrics_page import MetricsPage
from services.gateway.pace import check_pace
from services.gateway.settings import GatewaySettings
from services.gateways.processes import Followers
from services.gateways.served import Served, Setup, describe_served
from services.gateways.whole import Whole, WholeControl
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


def check_settings(torchserve: TorchServeSettings, gateway: GatewaySettings) -> None:
    """Refuse settings that do not fit together.

    Raises:
        ValueError: names them and what to change.
    """
    gateway.make_tls_context(ALPN)
    gateway.make_guard()
    gateway.check_openness()
    TrustedEdges(gateway.trusted_edges)
    for name, is_set in (("ROUTING", gateway.routing is not None), ("MODEL_CONTROL", gateway.model_control)):
        if is_set and not gateway.follow:
            raise ValueError(f"MILLRACE_{name} needs MILLRACE_FOLLOW, which is off; set that or leave it out")
    if gateway.max_body_mib > torchserve.max_message_mib:
        raise ValueError(
            f"MILLRACE_MAX_BODY_MIB is {gateway.max_body_mib}, but a worker takes at most MILLRACE_MAX_MESSAGE_MIB = "
            f"{torchserve.max_message_mib} at once; raise that one or lower the first"
        )


class Memory(NamedTuple):
    """Resident memory in bytes; pages that several processes share are counted once in the sum of all.

    Of an engine in another container nothing is known here.
    """

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
        gateway = gateway.share()
        self._report_progress = report_progress
        self._settings = gateway
        self._startup_timeout_s = torchserve.startup_timeout_s
        self._workers_changed = asyncio.Event()
        self._torchserve = TorchServe(catalogue.variants, torchserve, self._handle_change)
        self.gateway = Gateway(catalogue, self._torchserve, gateway)
        self.gateway.metrics.registry.register(EngineMetrics(self._torchserve))
        self._followers: Followers | None = None
        self._whole: Whole | None = None
        if gateway.gateways > 1:
            self._followers, self._whole = self._make_followers(torchserve, store)
        collect = self.gateway.metrics.collect if self._whole is None else self._whole.collect
        self._console = Console(self.gateway, store, collect=collect)
        self._keepers: list[asyncio.Task[None]] = []
        self._lifecycle = None
        if gateway.follow:
            self._lifecycle = Lifecycle(
                store,
                wish,
                self.gateway,
                self._torchserve,
                startup_timeout_s=torchserve.startup_timeout_s,
                on_change=self._tell,
            )
            if gateway.model_control:
                self.gateway.control = self._lifecycle
        if self._followers is not None:
            self.gateway.peers = self._whole
            self.gateway.control = WholeControl(self.gateway.control, self._followers)
        # All ports first: what is taken must show before anything is started.
        is_shared = gateway.gateways > 1
        with contextlib.ExitStack() as opened:
            http, metrics, grpc = (
                opened.enter_context(contextlib.closing(open_port(host, port, setting, is_shared=shared)))
                for host, port, setting, shared in (
                    (gateway.host, gateway.http_port, "http_port", is_shared),
                    (gateway.metrics_host or gateway.host, gateway.metrics_port, "metrics_port", False),
                    (gateway.host, gateway.grpc_port, "grpc_port", is_shared),
                )
            )
            opened.pop_all()
        self._doors = Doors(self.gateway, self._console, http, grpc)
        self._metrics = HttpServer(MetricsPage(collect), metrics)

    def _make_followers(self, torchserve: TorchServeSettings, store: Store) -> tuple[Followers, Whole]:
        def make_setup(number: int, turn: int, served: Served) -> Setup:
            ports = {f"{door}_port": port for door, port in self._doors.ports.items()}
            return Setup(
                number=number,
                settings=self._settings.model_copy(update=ports),
                num_workers=torchserve.workers,
                slots_per_worker=torchserve.slots_per_worker,
                response_timeout_s=torchserve.response_timeout_s,
                store=store.root,
                turn=turn,
                served=served,
            )

        followers = Followers(
            self._settings.gateways - 1,
            lambda: describe_served(self.gateway, self._torchserve),
            make_setup,
            lambda word, *arguments: whole.answer(word, *arguments),
            on_failed_call=self._torchserve.look_soon,
            on_gone=lambda number: whole.note_gone(number),
        )
        whole = Whole(self.gateway, followers, lambda after: self._console.history.after(after))
        return followers, whole

    @property
    def ports(self) -> dict[str, int]:
        """The ports that are really used."""
        return self._doors.ports | {"metrics": self._metrics.port}

    def measure_memory(self) -> Memory:
        """Measure what this process, TorchServe and all that they started hold."""
        root = self._torchserve.root
        if root is None:
            return Memory({}, sum(map(read_share_bytes, list_descendants(os.getpid()))))
        workers = {
            str(variant): [read_share_bytes(pid) for pid in self._torchserve.ready_workers(variant)]
            for variant in self.gateway.catalogue.variants
        }
        processes = {*list_descendants(os.getpid()), *list_descendants(root)}
        return Memory(workers, sum(map(read_share_bytes, processes)))

    async def start(self) -> None:
        """Open the doors (live, not ready), then start TorchServe and return when every model answers.

        Raises:
            StartError: a worker did not start, or does not answer; everything is stopped again.
        """
        try:
            await self._doors.open()
            self._metrics.start()
            if self._followers is not None:
                self._followers.start()
            await self._torchserve.start(self._report_progress)
            if self._lifecycle is not None:
                await self._lifecycle.look()  # before anything is ready: from the first request on it is routed
            if self._followers is not None:
                await self._followers.settle(self._startup_timeout_s)
            await self._prove_all()
        except BaseException:
            await self.stop()
            raise
        follow = [] if self._lifecycle is None else [self._lifecycle.run]
        keepers = (
            self._keep_ready,
            self._check_when_idle,
            self._doors.renew_certificates,
            self._console.remember,
            *([] if self.gateway.slowness is None else [self.gateway.slowness.watch]),
            *follow,
        )
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
            self._tell()
            await asyncio.sleep(settings.drain_delay_s)
        grace_s = settings.drain_timeout_s if was_serving else 0
        others = [] if self._followers is None else [self._followers.stop(grace_s)]
        await asyncio.gather(self._doors.close(grace_s), self._metrics.stop(0), *others)
        await self.gateway.close()
        await self._console.close()
        await self._torchserve.stop()

    def _tell(self) -> None:
        """Tell those who watch what has changed of what is served, or may have."""
        self._doors.update_health()
        if self._followers is not None:
            self._followers.publish()

    def _handle_change(self) -> None:
        """Tell those who watch of workers that went away at once, and have those that came prove that they answer."""
        self._tell()
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
        self._tell()
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
            self._tell()
            await asyncio.sleep(RETRY_S)

    async def _check_when_idle(self) -> None:
        while True:
            await asyncio.sleep(LOOK_FOR_IDLE_S)
            try:
                await self.gateway.readiness.check_idle()
            except Exception:
                logger.exception("golden rows could not be checked; trying again")
            self._tell()

    async def __aenter__(self) -> Serving:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
