"""A gateway process that follows: the same doors, and what is served told by the one that leads.

Usage: python -m services.gateways.follower DESCRIPTOR, which is its end of the pair; see channel.py. It ends when the
leader has gone, or says so, or when it is sent SIGTERM: then what it has is answered first.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import uvloop

from model_store.live_gate import GateProgress
from model_store.settings import keys_folder
from model_store.signing import Keyring
from model_store.store import Store
from services.catalogue import ServedVariant
from services.console import Console
from services.doors import Doors
from services.garbage import collect_garbage_rarely
from services.gateway.backends import Backend
from services.gateway.core import Gateway
from services.gateway.errors import NotReadyError
from services.gateway.http_server import join_port
from services.gateway.recent_errors import RecentError
from services.gateways.channel import Channel
from services.gateways.engine import FollowedEngine
from services.gateways.served import Served, Setup
from services.logs import configure_logs
from services.torchserve.calls import EngineAddress


class Engine(Backend, Protocol):
    """An engine that follows."""

    def take(self, address: EngineAddress | None, workers: Mapping[str, frozenset[int]]) -> None: ...


class LeaderControl:
    """Passes what callers want of the models on to the leader; see gateway/model_control.py."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def load(self, model: str) -> None:
        await self._channel.ask("load", model)

    async def unload(self, model: str) -> None:
        await self._channel.ask("unload", model)


class LeaderPeers:
    """Asks the leader for what holds for all; see gateway/peers.py."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list_statistics(self, name: str, version: str) -> list[dict[str, Any]]:
        statistics: list[dict[str, Any]] = await self._channel.ask("statistics", name, version)
        return statistics

    async def list_errors(self) -> list[RecentError]:
        errors: list[RecentError] = await self._channel.ask("errors")
        return errors

    async def list_samples(self, after: int) -> list[dict[str, Any]]:
        samples: list[dict[str, Any]] = await self._channel.ask("samples", after)
        return samples

    async def report_gates(self) -> list[GateProgress]:
        gates: list[GateProgress] = await self._channel.ask("gates")
        return gates

    async def drain(self, variant: ServedVariant, timeout_s: float) -> None:
        """Wait for nobody: the leader does."""


class Follower:
    """A gateway that serves what it is told."""

    def __init__(self, setup: Setup, channel: Channel, engine: Engine) -> None:
        settings = setup.settings
        self._channel, self._engine, self._settings = channel, engine, settings
        self._is_leaving: dict[str, asyncio.Task[None]] = {}
        self._turn = setup.turn
        self.gateway = Gateway(setup.served.catalogue, engine, settings)
        self._held = {str(variant): variant for variant in setup.served.catalogue.variants}
        self.gateway.peers = LeaderPeers(channel)
        if settings.model_control:
            self.gateway.control = LeaderControl(channel)
        self._console = Console(self.gateway, Store(setup.store, Keyring(keys_folder())))
        http, grpc = (join_port(settings.host, port) for port in (settings.http_port, settings.grpc_port))
        self._doors = Doors(self.gateway, self._console, http, grpc)
        self._keepers: list[asyncio.Task[None]] = []
        self._serve(setup.served)

    async def open(self) -> None:
        """Take connections and say so."""
        await self._doors.open()
        self._keepers.append(asyncio.create_task(self._doors.renew_certificates()))
        if self.gateway.slowness is not None:
            self._keepers.append(asyncio.create_task(self.gateway.slowness.watch()))
        self._tell_holding()

    async def close(self, grace_s: float | None = None) -> None:
        """Answer what is here, at most for so long, by default as the settings say, and close the doors."""
        self.gateway.is_draining = True
        await self._doors.close(self._settings.drain_timeout_s if grace_s is None else grace_s)
        tasks = [*self._is_leaving.values(), *self._keepers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.gateway.close()
        await self._console.close()

    def take(self, turn: int, served: Served) -> None:
        """Serve what the leader serves now."""
        self._turn = turn
        self._serve(served)
        self._doors.update_health()
        self._tell_holding()

    async def answer(self, word: str, *arguments: Any) -> Any:
        """Answer the leader for this process."""
        if word == "metrics":
            return await self.gateway.metrics.collect()
        if word == "errors":
            return list(self.gateway.journal.recent_errors)
        if word == "pulse":
            return None
        return self.gateway.list_statistics(*arguments)

    def _serve(self, served: Served) -> None:
        gateway = self.gateway
        wanted = {str(variant): variant for variant in served.catalogue.variants}
        for name, variant in wanted.items():
            if name not in self._held:
                gateway.add(variant)
                self._held[name] = variant
        self._engine.take(served.engine, served.workers)
        gateway.readiness.believe(served.proven)
        gateway.catalogue, gateway.router, gateway.refused = served.catalogue, served.router, served.refused
        gateway.is_draining = gateway.is_draining or served.is_draining  # this process may end by itself
        for name, variant in self._held.items():
            if name not in wanted and name not in self._is_leaving:
                self._is_leaving[name] = asyncio.create_task(self._leave(name, variant))

    async def _leave(self, name: str, variant: ServedVariant) -> None:
        """Forget a version once it has answered what it has, unless it has come back."""
        await self.gateway.drain(variant, self._settings.drain_timeout_s)
        del self._is_leaving[name]
        if self.gateway.catalogue.find(variant.model, variant.version) is None:
            del self._held[name]
            self.gateway.remove(variant)
        self._tell_holding()

    def _tell_holding(self) -> None:
        self._channel.tell("holds", (self._turn, frozenset(self._held)))


class Life:
    """A follower's, from its start to its end."""

    def __init__(
        self,
        make_engine: Callable[[Setup, Channel], Engine],
        *,
        on_setup: Callable[[Setup], None] = lambda setup: None,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_setup` is called once it is known what there is to do, `on_open` once it is done for callers."""
        self._make_engine, self._on_setup, self._on_open = make_engine, on_setup, on_open
        self._follower: Follower | None = None
        self._told: tuple[int, Served] | None = None  # before there was a follower
        self._end: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()

    async def live(self, end: socket.socket) -> None:
        """Follow whoever has the other end of a pair, until that has gone or says so."""
        channel = await Channel.open(end, self._take, self._answer)
        running = asyncio.create_task(channel.run())
        running.add_done_callback(lambda _: self.stop(0))
        try:
            setup: Setup = await channel.ask("setup")
            self._on_setup(setup)
            await self._serve(Follower(setup, channel, self._make_engine(setup, channel)))
        except NotReadyError:  # the leader has ended meanwhile
            pass
        finally:
            channel.close()
            await running

    def stop(self, grace_s: float | None = None) -> None:
        """End; what is here is answered first, at most for so long, by default as the server's settings say."""
        if not self._end.done():
            self._end.set_result(grace_s)

    async def _serve(self, follower: Follower) -> None:
        grace_s: float | None = 0
        try:
            await follower.open()
            self._follower = follower
            if self._told is not None:
                follower.take(*self._told)
            self._on_open()
            grace_s = await self._end
        finally:
            await follower.close(grace_s)

    def _take(self, word: str, content: Any) -> None:
        if word == "stop":
            self.stop(content)
        elif self._follower is None:
            self._told = content
        else:
            self._follower.take(*content)

    async def _answer(self, word: str, *arguments: Any) -> Any:
        if self._follower is None:
            raise NotReadyError("this gateway process is starting")
        return await self._follower.answer(word, *arguments)


async def _live(end: socket.socket) -> None:
    life = Life(_make_engine, on_setup=_configure, on_open=collect_garbage_rarely)
    # Somebody ends this process by itself, or all of a server's at once.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.stop)
    await life.live(end)


def _make_engine(setup: Setup, channel: Channel) -> FollowedEngine:
    return FollowedEngine(
        setup.num_workers, setup.slots_per_worker, setup.response_timeout_s, lambda: channel.tell("call failed")
    )


def _configure(setup: Setup) -> None:
    configure_logs(setup.settings.log_level, gateway=setup.number)


def main(descriptor: int) -> None:
    """Follow whoever has the other end of this pair."""
    uvloop.run(_live(socket.socket(fileno=descriptor)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
