"""gRPC services on our HTTP/2: methods by path, messages, deadlines, statuses."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from services.gateway.http2.connection import Connection, Stream
from services.gateway.http2.headers import TRAILERS_OK, CallHead, error_trailers
from services.gateway.http2.status import CallError, GrpcStatus

logger = structlog.get_logger("gateway")

_PREFIX = 5  # compressed flag and length of each message
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_REQUEST_ENDED = -1


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one message each way."""

    answer: Callable[[bytes, CallHead], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method that answers with any number of messages to any number of messages."""

    answer: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


class Http2Server:
    """Serve methods to any number of connections."""

    def __init__(
        self, methods: Mapping[str, Unary | Streaming], max_message_bytes: int, max_buffered_bytes: int
    ) -> None:
        """`max_buffered_bytes` bounds what all unfinished requests together may hold in memory."""
        self._methods = methods
        self._max_message_bytes = max_message_bytes
        self._max_buffered_bytes = max_buffered_bytes
        self._buffered_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._incoming: dict[Stream, asyncio.Queue[bytes | None]] = {}
        self.connections: set[Connection] = set()

    async def start(self, listener: socket.socket) -> None:
        self._listener = await self._loop.create_server(lambda: Connection(self), sock=listener)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, wait for those in flight at most `grace_s`, then cut them."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self.connections):
            connection.drain()
        deadline_s = self._loop.time() + grace_s
        while self.connections and self._loop.time() < deadline_s:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)

    # Called by connections

    def begin_call(self, connection: Connection, stream: Stream) -> None:
        head = stream.head
        method = self._methods.get(head.path)
        if not head.content_type.startswith("application/grpc"):
            self._fail(
                connection, stream, GrpcStatus.INTERNAL, f"content-type is {head.content_type!r}, not application/grpc"
            )
        elif method is None:
            self._fail(connection, stream, GrpcStatus.UNIMPLEMENTED, f"there is no method {head.path}")
        elif isinstance(method, Streaming):
            queue: asyncio.Queue[bytes | None] = asyncio.Queue()
            self._incoming[stream] = queue
            stream.task = self._loop.create_task(self._answer_stream(connection, stream, method, queue))

    def take_data(self, connection: Connection, stream: Stream, payload: bytes) -> None:
        stream.body.append(payload)
        stream.received += len(payload)
        self._buffered_bytes += len(payload)
        announced = self._announced_size(stream)
        if announced > self._max_message_bytes:
            text = (
                f"the message has {announced} bytes; at most {self._max_message_bytes} are taken: send fewer rows at "
                "once, or have the server's MILLRACE_MAX_BODY_MIB raised"
            )
            self._fail(connection, stream, GrpcStatus.RESOURCE_EXHAUSTED, text)
        elif self._buffered_bytes > self._max_buffered_bytes:
            text = "too many large requests are being received at once; try again later"
            self._fail(connection, stream, GrpcStatus.RESOURCE_EXHAUSTED, text)
        elif stream in self._incoming:
            self._pass_messages_on(connection, stream)

    def end_request(self, connection: Connection, stream: Stream) -> None:
        if stream in self._incoming:
            self._incoming[stream].put_nowait(None)
            self.release(stream)
            return
        body = stream.body[0] if len(stream.body) == 1 else b"".join(stream.body)
        self.release(stream)
        method = self._methods.get(stream.head.path)
        if stream.is_answered or not isinstance(method, Unary):
            return
        try:
            message = self._decode_message(stream, body)
        except CallError as error:
            self._fail(connection, stream, error.status, str(error))
            return
        stream.task = self._loop.create_task(self._answer_unary(connection, stream, method, message))

    def forget(self, stream: Stream) -> None:
        """Drop a call that its caller has left."""
        self.release(stream)
        self._incoming.pop(stream, None)
        if stream.task is not None:
            stream.task.cancel()

    def release(self, stream: Stream) -> None:
        """Let go of what was buffered of a request that is complete or was given up."""
        if stream.received > 0:
            self._buffered_bytes -= stream.received
        stream.received = _REQUEST_ENDED
        stream.body = []

    # Answers

    async def _answer_unary(self, connection: Connection, stream: Stream, method: Unary, message: bytes) -> None:
        try:
            answer = await method.answer(message, stream.head)
        except CallError as error:
            connection.end_call(stream, error_trailers(error.status, str(error), error.request_id))
        except Exception:
            logger.exception("a call broke", path=stream.head.path)
            connection.end_call(
                stream, error_trailers(GrpcStatus.INTERNAL, "the server failed; its log has the cause", "")
            )
        else:
            connection.send_unary(stream, answer, TRAILERS_OK)

    async def _answer_stream(
        self, connection: Connection, stream: Stream, method: Streaming, queue: asyncio.Queue[bytes | None]
    ) -> None:
        async def messages() -> AsyncIterator[bytes]:
            while (message := await queue.get()) is not None:
                yield message

        try:
            async for answer in method.answer(messages()):
                connection.send_message(stream, answer)
            connection.end_call(stream, TRAILERS_OK)
        except CallError as error:
            connection.end_call(stream, error_trailers(error.status, str(error), error.request_id))
        except Exception:
            logger.exception("a call broke", path=stream.head.path)
            connection.end_call(
                stream, error_trailers(GrpcStatus.INTERNAL, "the server failed; its log has the cause", "")
            )
        finally:
            self._incoming.pop(stream, None)

    def _fail(self, connection: Connection, stream: Stream, status: GrpcStatus, text: str) -> None:
        if stream.received > 0:
            self._buffered_bytes -= stream.received
            stream.received = 0
        stream.body = []
        connection.end_call(stream, error_trailers(status, text, ""))

    # Messages

    def _announced_size(self, stream: Stream) -> int:
        """Size of the message that is being received, from its prefix; or of what came so far."""
        first = stream.body[0]
        if len(first) >= _PREFIX:
            return max(int.from_bytes(first[1:_PREFIX], "big"), stream.received - _PREFIX)
        return stream.received - _PREFIX

    def _pass_messages_on(self, connection: Connection, stream: Stream) -> None:
        body = b"".join(stream.body)
        while len(body) >= _PREFIX and len(body) >= (end := _PREFIX + int.from_bytes(body[1:_PREFIX], "big")):
            try:
                self._incoming[stream].put_nowait(self._decode_message(stream, body[:end]))
            except CallError as error:
                self._fail(connection, stream, error.status, str(error))
                return
            body = body[end:]
        self._buffered_bytes -= stream.received - len(body)
        stream.received = len(body)
        stream.body = [body] if body else []

    def _decode_message(self, stream: Stream, body: bytes) -> bytes:
        size = int.from_bytes(body[1:_PREFIX], "big")
        if len(body) != _PREFIX + size:
            text = f"the call carries {len(body)} bytes, which are not one message with its {_PREFIX}-byte prefix"
            raise CallError(GrpcStatus.INTERNAL, text)
        if not body[0]:
            return body[_PREFIX:]
        if stream.head.encoding not in ("gzip", "deflate"):
            raise CallError(
                GrpcStatus.UNIMPLEMENTED, f"messages compressed by {stream.head.encoding} are not taken; use gzip"
            )
        return self._decompress(body[_PREFIX:])

    def _decompress(self, data: bytes) -> bytes:
        decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            message = decoder.decompress(data, self._max_message_bytes)
        except zlib.error:
            raise CallError(GrpcStatus.INTERNAL, "the compressed message is broken") from None
        if not decoder.eof:
            text = f"the message is truncated, or has more than {self._max_message_bytes} bytes when decompressed"
            raise CallError(GrpcStatus.RESOURCE_EXHAUSTED, text)
        return message
