"""Calls of any number of messages each way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from services.grpc_server.call import Call
from services.grpc_server.errors import MalformedMessageError
from services.grpc_server.methods import Streaming


class StreamingCall(Call[Streaming]):
    """Messages wait until the method takes them, and only then is the caller told that it may send as much again.

    One exception: what has come of a message for which the method waits already, since it may be larger than a window.
    """

    __slots__ = ("_unacknowledged", "_waiting")

    _unacknowledged: int
    _waiting: asyncio.Future[None] | None

    def begin(self) -> None:
        self._unacknowledged = 0
        self._waiting = None
        super().begin()

    def take_data(self, data: bytes) -> None:
        if self.refusal is not None or self.is_answered:
            self.connection.acknowledge(self.stream_id, len(data))
            return
        self._unacknowledged += len(data)
        self.feed(data)
        self.refuse_if_too_much()
        self._wake()

    def end_request(self) -> None:
        self.is_request_open = False
        self._wake()

    def release(self) -> None:
        super().release()
        self._acknowledge_all_but(0)
        self._wake()

    async def perform(self) -> None:
        if self.refusal is None:
            try:
                answers = cast(AsyncGenerator[bytes, None], self.method.answer(self._take_messages(), self.context))
                async with aclosing(answers):
                    async for answer in answers:
                        await self.connection.send_message(self, answer)
            except asyncio.CancelledError:
                if self.refusal is None:
                    raise
        await super().perform()

    def send_answer(self) -> None:
        self.connection.send_end(self)

    async def _take_messages(self) -> AsyncIterator[bytes]:
        while True:
            while (message := self._take_message()) is not None:
                yield message
            if not self.is_request_open:
                break
            self._acknowledge_all_but(0)
            self._waiting = self.connection.loop.create_future()
            await self._waiting
        if self.reader is not None and self.reader.size:
            text = f"the call ends with {self.reader.size} bytes that are no message with its 5-byte prefix"
            raise MalformedMessageError(text)

    def _take_message(self) -> bytes | None:
        if self.reader is None:
            return None
        size = self.reader.size
        found = self.reader.take()
        if found is None:
            return None
        self.connection.server.buffers.received_bytes -= size - self.reader.size
        self._acknowledge_all_but(self.reader.size)
        is_compressed, message = found
        if is_compressed:
            message = self.decompress(message)
        return message

    def _acknowledge_all_but(self, size: int) -> None:
        if self._unacknowledged > size:
            self.connection.acknowledge(self.stream_id, self._unacknowledged - size)
            self._unacknowledged = size
            self.connection.flush_soon()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
