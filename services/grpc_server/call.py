"""One call, from its head to its status: what is common, and calls of one message each way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import structlog

from services.grpc_server.buffers import Buffers
from services.grpc_server.context import CallContext
from services.grpc_server.errors import (
    BusyReceivingError,
    CallError,
    DeadlineExceededError,
    MalformedMessageError,
    MethodBrokeError,
    RefusedError,
)
from services.grpc_server.limits import Limits
from services.grpc_server.messages import PREFIX_BYTES, MessageReader, decompress
from services.grpc_server.methods import Streaming, Unary

logger = structlog.get_logger("grpc_server")

Method = TypeVar("Method", bound=Unary | Streaming | None)


class CallServer(Protocol):
    """A server, as far as calls need it."""

    @property
    def buffers(self) -> Buffers: ...

    @property
    def chain(self) -> Callable[[Any], Awaitable[None]]: ...


class CallConnection(Protocol):
    """A connection, as far as its calls need it."""

    @property
    def server(self) -> CallServer: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def is_choked(self) -> bool: ...

    async def wait_for_room(self) -> None: ...

    def acknowledge(self, stream_id: int, size: int) -> None: ...

    def send_unary(self, call: Call[Any], message: bytes) -> None: ...

    async def send_message(self, call: Any, message: bytes) -> None: ...

    def send_end(self, call: Call[Any]) -> None: ...

    def send_failure(self, call: Call[Any], error: CallError) -> None: ...

    def flush_soon(self) -> None: ...


class Call(Generic[Method]):
    """A call and the task that answers it; this class alone only refuses."""

    __slots__ = (
        "_has_begun",
        "_task",
        "connection",
        "context",
        "has_sent",
        "is_answered",
        "is_request_open",
        "method",
        "opened_s",
        "reader",
        "refusal",
        "stream_id",
        "timer",
    )

    def __init__(
        self,
        connection: CallConnection,
        stream_id: int,
        context: CallContext,
        method: Method,
        opened_s: float,
    ) -> None:
        self.connection = connection
        self.stream_id = stream_id
        self.context = context
        self.method = method
        self.opened_s = opened_s
        self.timer: asyncio.TimerHandle | None = None
        self.reader: MessageReader | None = None  # made where a request comes in pieces
        self.refusal: RefusedError | None = None
        self.has_sent = False  # the answer's head
        self.is_answered = False  # nothing more will be sent, or can be
        self.is_request_open = True
        self._has_begun = False
        self._task: asyncio.Task[None] | None = None

    # The request, as the connection reads it

    def take_whole(self, data: bytes) -> bool:
        """Take all of a request at once, if it came so; return whether it did."""
        return False

    def take_data(self, data: bytes) -> None:
        self.connection.acknowledge(self.stream_id, len(data))

    def end_request(self) -> None:
        self.is_request_open = False

    # The answer

    def begin(self) -> None:
        """Have the call answered by a task of its own."""
        # Not by the loop's create_task, which takes a third longer for it.
        self._task = asyncio.Task(self._answer(), loop=self.connection.loop, name=self.context.path)

    def refuse(self, refusal: RefusedError) -> None:
        """End the call, whether its method has begun or not; interceptors see it raised by `proceed`."""
        if self.is_answered or self.refusal is not None:
            return
        self.refusal = refusal
        self.release()
        if self._task is None:
            self.begin()
        elif self._has_begun:
            self._task.cancel()

    def expire(self) -> None:
        self.refuse(DeadlineExceededError("no answer before the caller's deadline"))

    def abandon(self) -> None:
        """Drop a call that its caller has left."""
        self.context.is_cancelled = True
        self.is_answered = True
        self.release()
        if self._task is not None:
            self._task.cancel()

    def release(self) -> None:
        """Let go of what was received and not taken."""
        if self.reader is not None:
            self.connection.server.buffers.received_bytes -= self.reader.size
            self.reader.clear()

    def feed(self, data: bytes) -> MessageReader:
        """Keep a piece of the request, and count it among what all calls hold."""
        if self.reader is None:
            self.reader = MessageReader(self.connection.limits.max_message_bytes)
        self.reader.feed(data)
        self.connection.server.buffers.received_bytes += len(data)
        return self.reader

    def decompress(self, message: bytes) -> bytes:
        encoding = self.context.metadata.get("grpc-encoding", "identity")
        return decompress(message, encoding, self.connection.limits.max_message_bytes)

    def refuse_if_too_much(self) -> None:
        if self.connection.server.buffers.received_bytes > self.connection.limits.max_received_bytes:
            self.refuse(BusyReceivingError("too many large requests are being received at once; try again later"))

    async def perform(self) -> None:
        """Run the method; the innermost of the interceptors."""
        if self.refusal is not None:
            raise self.refusal

    def send_answer(self) -> None:
        """Send what is left to send of an answer whose method has returned."""

    async def _answer(self) -> None:
        self._has_begun = True
        try:
            await self.connection.server.chain(self)
        except CallError as error:
            self.connection.send_failure(self, error)
        except asyncio.CancelledError:
            if self.refusal is None:
                raise
            self.connection.send_failure(self, self.refusal)
        except Exception:
            logger.exception("a method broke", path=self.context.path, request=self.context.request_id)
            self.connection.send_failure(self, MethodBrokeError("the server failed; its log has the cause"))
        else:
            self.send_answer()


class UnaryCall(Call[Unary]):
    """A call of one message each way; the method starts when all of the request is here."""

    __slots__ = ("_is_compressed", "_message", "_reply")

    _is_compressed: bool
    _message: bytes
    _reply: bytes

    def take_whole(self, data: bytes) -> bool:
        size = len(data) - PREFIX_BYTES
        if size < 0 or int.from_bytes(data[:PREFIX_BYTES], "big") != size or self.reader is not None:
            return False
        if size > self.connection.limits.max_message_bytes:
            return False
        self.connection.acknowledge(self.stream_id, len(data))
        self.is_request_open = False
        self._is_compressed, self._message = False, data[PREFIX_BYTES:]
        self.begin()
        return True

    def take_data(self, data: bytes) -> None:
        self.connection.acknowledge(self.stream_id, len(data))
        if self.refusal is not None or self.is_answered:
            return
        try:
            self.feed(data).check()
        except RefusedError as refusal:
            self.refuse(refusal)
        self.refuse_if_too_much()

    def end_request(self) -> None:
        self.is_request_open = False
        if self.refusal is not None or self.is_answered:
            return
        reader = self.reader
        if reader is None:
            self.refuse(MalformedMessageError("the call carries no message"))
            return
        size = reader.size
        message = reader.take()
        self.connection.server.buffers.received_bytes -= size - reader.size
        if message is None or reader.size:
            text = f"the call carries {size} bytes, which are not one message with its 5-byte prefix"
            self.refuse(MalformedMessageError(text))
            return
        self._is_compressed, self._message = message
        self.begin()

    async def perform(self) -> None:
        if self.refusal is None:
            try:
                if self.connection.is_choked:
                    await self.connection.wait_for_room()
                message, self._message = self._message, b""
                if self._is_compressed:
                    message = self.decompress(message)
                self._reply = await self.method.answer(message, self.context)
            except asyncio.CancelledError:
                if self.refusal is None:
                    raise
            else:
                return
        await super().perform()

    def send_answer(self) -> None:
        self.connection.send_unary(self, self._reply)
