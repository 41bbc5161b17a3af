"""Messages between a leading gateway process and one that follows, over a pair of sockets without a name.

Nobody else can open such a pair, and each end sees at once when the other has gone. What passes is pickled: both ends
are this code, run by this user.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from services.gateway.errors import SERVER_FAILED, GatewayError, InternalError, NotReadyError

logger = structlog.get_logger("gateways")

_LENGTH_BYTES = 4
_TELL: Final = "tell"
_ASK: Final = "ask"
_ANSWER: Final = "answer"
_REFUSE: Final = "refuse"


class Channel:
    """One end: tells the other something, or asks it and awaits the answer."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        take: Callable[[str, Any], None],
        answer: Callable[..., Awaitable[Any]],
    ) -> None:
        """`take` is given what the other end tells, `answer` what it asks: a word, and contents or arguments."""
        self._reader, self._writer = reader, writer
        self._take, self._answer = take, answer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, end: socket.socket, take: Callable[[str, Any], None], answer: Callable[..., Awaitable[Any]]
    ) -> Channel:
        """Make a channel of one end of a pair; nothing is read before `run`."""
        reader, writer = await asyncio.open_unix_connection(sock=end)
        return cls(reader, writer, take, answer)

    def tell(self, word: str, content: Any = None) -> None:
        """Tell the other end something; one that has gone is told nothing."""
        self._send(_TELL, word, content)

    async def ask(self, word: str, *arguments: Any, timeout_s: float | None = None) -> Any:
        """Ask the other end and return its answer.

        Raises:
            GatewayError: as the other end has raised it; NotReadyError where that has gone.
            TimeoutError: no answer in time.
        """
        if self._writer.is_closing():
            raise _gone()
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._send(_ASK, number, word, arguments)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        finally:
            self._asked.pop(number, None)

    async def run(self) -> None:
        """Take messages until the other end has gone."""
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "little")
                kind, *content = pickle.loads(await self._reader.readexactly(size))
                self._receive(kind, *content)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close this end; whoever waits for an answer gets none."""
        self._writer.close()
        for task in self._tasks:
            task.cancel()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(_gone())

    def _receive(self, kind: str, *content: Any) -> None:
        if kind == _TELL:
            self._take(*content)
        elif kind == _ASK:
            task = asyncio.create_task(self._reply(*content))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (asked := self._asked.get(content[0])) is not None and not asked.done():
            if kind == _ANSWER:
                asked.set_result(content[1])
            else:
                asked.set_exception(content[1])

    async def _reply(self, number: int, word: str, arguments: tuple[Any, ...]) -> None:
        try:
            answer = await self._answer(word, *arguments)
        except GatewayError as error:
            self._send(_REFUSE, number, error)
        except Exception:
            logger.exception("another gateway process gets no answer", question=word)
            self._send(_REFUSE, number, InternalError(SERVER_FAILED))
        else:
            self._send(_ANSWER, number, answer)

    def _send(self, *message: Any) -> None:
        if not self._writer.is_closing():
            data = pickle.dumps(message)
            self._writer.writelines([len(data).to_bytes(_LENGTH_BYTES, "little"), data])


def _gone() -> NotReadyError:
    return NotReadyError("a process of this server has just ended; try again in some seconds")
