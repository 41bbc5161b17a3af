"""The gateway processes that follow: started, told what is served, asked, started again when they end."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Protocol

import structlog

from services.catalogue import ServedVariant
from services.gateway.errors import GatewayError
from services.gateways.channel import Channel
from services.gateways.served import Served, Setup
from services.torchserve.command import StartError

logger = structlog.get_logger("gateways")

RESTART_DELAYS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
HEALTHY_AFTER_S = 60.0
ANSWER_S = 2.0
# One that is there but answers nothing keeps callers waiting at its share of the port: after so many questions without
# an answer it is replaced. More than one, for this process may have been the one that stood still.
PULSE_S = 1.0
SILENT_S = 5.0
MOST_SILENT = 2
# From what a process was given for its end to when it is ended.
LAST_S = 3.0
FOLLOWER = "services.gateways.follower"


class Process(Protocol):
    """A process as asyncio has it."""

    pid: int

    async def wait(self) -> int: ...
    def kill(self) -> None: ...


async def launch(number: int, end: socket.socket) -> Process:
    """Start a process that follows whoever has the other end of the pair."""
    # A session of its own: Ctrl-C in a terminal reaches the leader only, which drains all.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", FOLLOWER, str(end.fileno())),
        pass_fds=(end.fileno(),),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


@dataclass(eq=False)
class _Member:
    """One place among the followers, whichever process has it.

    `turn` counts what it was told and serves, `holding` are the versions that it may still ask.
    """

    number: int
    channel: Channel | None = None
    has_joined: bool = False
    turn: int = -1
    holding: frozenset[str] = frozenset()
    num_restarts: int = 0
    has_served: bool = False


class Followers:
    """All processes that follow this one."""

    def __init__(
        self,
        num: int,
        describe: Callable[[], Served],
        make_setup: Callable[[int, int, Served], Setup],
        answer: Callable[..., Awaitable[Any]],
        *,
        on_failed_call: Callable[[], None] = lambda: None,
        on_gone: Callable[[int], None] = lambda number: None,
        launch: Callable[[int, socket.socket], Awaitable[Process]] = launch,
    ) -> None:
        """`make_setup` is given a follower's number, the turn, and what is served; `answer` what a follower asks."""
        self._describe, self._make_setup, self._answer = describe, make_setup, answer
        self._on_failed_call, self._on_gone, self._launch = on_failed_call, on_gone, launch
        self._members = [_Member(number + 1) for number in range(num)]
        self._turn = 0
        self._told = b""
        self._is_stopping = False
        self._changed = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def restarts(self) -> dict[int, int]:
        """How often each was started again."""
        return {member.number: member.num_restarts for member in self._members}

    def start(self) -> None:
        """Start all; they are there when `settle` returns."""
        self._keepers = [asyncio.create_task(self._keep(member)) for member in self._members]

    async def settle(self, timeout_s: float) -> None:
        """Wait until all serve what is served now.

        Raises:
            StartError: one has ended instead, or was not there in time.
        """
        self.publish()
        try:
            await self._wait_for(lambda: all(map(self._is_settled, self._members)), timeout_s)
        except TimeoutError:
            raise StartError(f"not every gateway process was there after {timeout_s:g} s") from None
        failed = [member.number for member in self._members if not member.has_served]
        if failed:
            raise StartError(f"gateway process {failed[0]} ended while it started; its own words are above")

    def publish(self) -> Served:
        """Tell all what is served, if that has changed; returns it."""
        served = self._describe()
        data = pickle.dumps(served)
        if data != self._told:
            self._told = data
            self._turn += 1
            for member in self._members:
                if member.has_joined and member.channel is not None:
                    member.channel.tell("served", (self._turn, served))
        return served

    async def spread(self) -> None:
        """Wait until those that are there serve what is served now: callers may ask any of them next."""
        self.publish()
        with contextlib.suppress(TimeoutError):  # it says so itself, when it is asked for its metrics
            await self._wait_for(
                lambda: all(not member.has_joined or member.turn >= self._turn for member in self._members), ANSWER_S
            )

    async def drain(self, variant: ServedVariant, timeout_s: float) -> None:
        """Wait until no follower has work for a version that callers do not find any more, at most for so long."""
        self.publish()
        turn, name = self._turn, str(variant)

        def is_free(member: _Member) -> bool:
            return not member.has_joined or (member.turn >= turn and name not in member.holding)

        try:
            await self._wait_for(lambda: all(map(is_free, self._members)), timeout_s)
        except TimeoutError:
            busy = [member.number for member in self._members if not is_free(member)]
            logger.error("still used by another gateway process; unloading it", variant=name, gateways=busy)

    async def ask_all(self, word: str, *arguments: Any) -> dict[int, Any]:
        """Ask all and return the answers of those that answer and are still there, by number."""
        asked = [(member, member.channel) for member in self._members if member.has_joined and member.channel]
        answers = await asyncio.gather(*(self._ask(*each, word, *arguments) for each in asked))
        return {
            member.number: answer[0]
            for (member, channel), answer in zip(asked, answers, strict=True)
            if answer and member.channel is channel
        }

    async def stop(self, grace_s: float) -> None:
        """Have all answer what they have, at most for so long, and end."""
        self._is_stopping = True
        for member, keeper in zip(self._members, self._keepers, strict=False):
            if member.has_joined and member.channel is not None:
                member.channel.tell("stop", grace_s)
            else:
                keeper.cancel()
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=grace_s + LAST_S)
            for keeper in late:
                keeper.cancel()
            await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []

    async def _ask(self, member: _Member, channel: Channel, word: str, *arguments: Any) -> tuple[Any] | None:
        try:
            return (await channel.ask(word, *arguments, timeout_s=ANSWER_S),)
        except TimeoutError:
            logger.warning("a gateway process does not answer", gateway=member.number, question=word)
        except GatewayError:  # it has gone, or knows less than this process
            pass
        return None

    async def _keep(self, member: _Member) -> None:
        """Have a process in a member's place until all are stopped."""
        failures = 0
        while not self._is_stopping:
            started_s = monotonic()
            status: int | None = None
            try:
                status = await self._run(member)
            except OSError as error:
                logger.error("a gateway process could not be started", gateway=member.number, why=str(error))
            if self._is_stopping:
                return
            member.num_restarts += 1
            failures = 0 if monotonic() - started_s > HEALTHY_AFTER_S else failures
            logger.error("a gateway process ended; starting it again", gateway=member.number, status=status)
            await asyncio.sleep(RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)])
            failures += 1

    async def _run(self, member: _Member) -> int:
        """Start a process and return how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await self._launch(member.number, theirs)
        try:
            member.channel = await Channel.open(ours, partial(self._take, member), partial(self._reply, member))
            pulse = asyncio.create_task(self._feel_pulse(member, member.channel, process))
            try:
                await member.channel.run()
            finally:
                pulse.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_S):
                    await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):  # without its channel it is of no use
                process.kill()
            status = await process.wait()
            member.channel, member.has_joined = None, False
            member.turn, member.holding = -1, frozenset()
            self._on_gone(member.number)
            self._note_change()
        return status

    async def _feel_pulse(self, member: _Member, channel: Channel, process: Process) -> None:
        """Kill a process that serves and has ceased to answer."""
        silences = 0
        while silences < MOST_SILENT:
            await asyncio.sleep(PULSE_S)
            if not member.has_served or self._is_stopping:
                continue
            try:
                await channel.ask("pulse", timeout_s=SILENT_S)
                silences = 0
            except TimeoutError:
                silences += 1
            except GatewayError:  # it has just ended
                return
        logger.error("a gateway process answers nothing; ending it", gateway=member.number, pid=process.pid)
        process.kill()

    def _take(self, member: _Member, word: str, content: Any) -> None:
        if word == "holds":
            member.turn, member.holding = content
            member.has_served = True
            self._note_change()
        else:
            self._on_failed_call()

    async def _reply(self, member: _Member, word: str, *arguments: Any) -> Any:
        if word != "setup":
            return await self._answer(word, *arguments)
        served = self.publish()
        member.has_joined = True
        return self._make_setup(member.number, self._turn, served)

    def _is_settled(self, member: _Member) -> bool:
        return member.turn >= self._turn if member.has_served else member.num_restarts > 0

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()
