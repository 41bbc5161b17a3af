"""One HTTP/2 connection of gRPC callers, written for many small unary calls.

grpc.aio crosses between two threads several times a call and takes about 200 µs of processor time for it on 2 busy
cores; this takes about 40. It knows what gRPC needs of HTTP/2 and refuses the rest: no push, no priorities.

Source: RFC 9113; "gRPC over HTTP2" (PROTOCOL-HTTP2.md of grpc/grpc).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import structlog

from services.gateway.http2 import frames
from services.gateway.http2.frames import ErrorCode, ProtocolError, frame
from services.gateway.http2.headers import MAX_HEADER_LIST_BYTES, RESPONSE_START, CallHead, HeaderReader

if TYPE_CHECKING:
    from services.gateway.http2.server import Http2Server

logger = structlog.get_logger("gateway")

STREAM_WINDOW = 1 << 20
CONNECTION_WINDOW = 16 << 20
MAX_STREAMS = 1024
MAX_WRITE_BUFFER = 64 << 20
_NO_HTTP2 = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\nThis port speaks gRPC.\n"


class Stream:
    """One call."""

    __slots__ = (
        "backlog",
        "body",
        "head",
        "id",
        "is_answered",
        "is_started",
        "received",
        "task",
        "trailers",
        "unacknowledged",
        "window",
    )

    def __init__(self, number: int, head: CallHead, window: int) -> None:
        self.id = number
        self.head = head
        self.body: list[bytes] = []
        self.received = 0
        self.unacknowledged = 0
        self.window = window
        self.task: asyncio.Task[None] | None = None
        self.is_started = False  # response headers are sent
        self.is_answered = False  # nothing more will be sent by a handler
        self.backlog: deque[memoryview] = deque()
        self.trailers: bytes | None = None


class Connection(asyncio.Protocol):
    """Frames in, frames out; calls go to the server's methods."""

    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._input = bytearray()
        self._output: list[bytes] = []
        self._flush_is_due = False
        self._has_preface = False
        self._headers = HeaderReader()
        self._continued: tuple[int, int, bytearray] | None = None
        self._unacknowledged = 0
        self._send_window = frames.DEFAULT_WINDOW
        self._stream_window = frames.DEFAULT_WINDOW
        self._max_frame = frames.MAX_FRAME_SIZE
        self._last_stream = 0
        self._is_draining = False
        self.streams: dict[int, Stream] = {}

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        for stream in list(self.streams.values()):
            self._forget(stream)

    def data_received(self, data: bytes) -> None:
        try:
            if self._input or not self._has_preface:
                self._input += data
                consumed = self._read_frames(bytes(self._input))
                del self._input[:consumed]
            else:
                consumed = self._read_frames(data)
                if consumed < len(data):
                    self._input += data[consumed:]
        except ProtocolError as error:
            logger.warning("a gRPC client broke the protocol", why=str(error))
            self._write(frames.goaway_frame(self._last_stream, error.code, str(error)))
            self._close()

    def _read_frames(self, data: bytes) -> int:
        offset, total = 0, len(data)
        if not self._has_preface:
            if not frames.PREFACE.startswith(data[: len(frames.PREFACE)]):
                self._write(_NO_HTTP2)
                self._close()
                return total
            if total < len(frames.PREFACE):
                return 0
            self._has_preface = True
            self._send_preface()
            offset = len(frames.PREFACE)
        while total - offset >= frames.FRAME_HEAD_SIZE:
            high, low, kind, flags, number = frames.FRAME_HEAD.unpack_from(data, offset)
            size = high << 8 | low
            if size > frames.MAX_FRAME_SIZE:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            end = offset + frames.FRAME_HEAD_SIZE + size
            if end > total:
                break
            self._read_frame(kind, flags, number & frames.MAX_WINDOW, data[offset + frames.FRAME_HEAD_SIZE : end])
            offset = end
        return offset

    def _send_preface(self) -> None:
        settings = (
            (frames.MAX_CONCURRENT_STREAMS, MAX_STREAMS),
            (frames.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (frames.MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST_BYTES),
        )
        self._write(frames.settings_frame(settings))
        self._write(frames.window_update_frame(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW))

    def _read_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._continued is not None and kind != frames.CONTINUATION:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        match kind:
            case frames.DATA:
                self._read_data(flags, number, payload)
            case frames.HEADERS:
                self._read_headers(flags, number, payload)
            case frames.CONTINUATION:
                self._read_continuation(flags, number, payload)
            case frames.WINDOW_UPDATE:
                self._read_window_update(number, payload)
            case frames.SETTINGS:
                self._read_settings(flags, payload)
            case frames.PING:
                if not flags & frames.ACK:
                    self._write(frame(frames.PING, frames.ACK, 0, payload))
            case frames.RST_STREAM:
                stream = self.streams.get(number)
                if stream is not None:
                    self._forget(stream)
            case frames.PUSH_PROMISE:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a client cannot push")

    # Requests

    def _read_headers(self, flags: int, number: int, payload: bytes) -> None:
        payload = frames.strip_padding(flags, payload)
        if flags & frames.WITH_PRIORITY:
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._open_stream(flags, number, payload)
        else:
            self._continued = (flags, number, bytearray(payload))

    def _read_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._continued is None or self._continued[1] != number:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a continuation of nothing")
        first_flags, _, block = self._continued
        block += payload
        if len(block) > MAX_HEADER_LIST_BYTES:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self._continued = None
            self._open_stream(first_flags, number, bytes(block))

    def _open_stream(self, flags: int, number: int, block: bytes) -> None:
        head = self._headers.read(block)
        known = self.streams.get(number)
        if known is not None:  # the caller's trailers
            if flags & frames.END_STREAM:
                self._server.end_request(self, known)
            return
        if number % 2 == 0 or number <= self._last_stream:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, f"stream {number} after stream {self._last_stream}")
        self._last_stream = number
        if self._is_draining or len(self.streams) >= MAX_STREAMS:
            self._write(frames.reset_frame(number, ErrorCode.REFUSED_STREAM))
            return
        stream = self.streams[number] = Stream(number, head, self._stream_window)
        self._server.begin_call(self, stream)
        if flags & frames.END_STREAM:
            self._server.end_request(self, stream)

    def _read_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._unacknowledged += size
        if self._unacknowledged > CONNECTION_WINDOW // 4:
            self._write(frames.window_update_frame(0, self._unacknowledged))
            self._unacknowledged = 0
        stream = self.streams.get(number)
        if stream is None or stream.is_answered:
            if number > self._last_stream or not number:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, f"data for stream {number}, which was not opened")
            return  # of a call that has ended already
        if flags & frames.PADDED:
            payload = frames.strip_padding(flags, payload)
        if flags & frames.END_STREAM:
            self._server.take_data(self, stream, payload)
            if not stream.is_answered:
                self._server.end_request(self, stream)
            return
        stream.unacknowledged += size
        if stream.unacknowledged > STREAM_WINDOW // 4:
            self._write(frames.window_update_frame(number, stream.unacknowledged))
            stream.unacknowledged = 0
        self._server.take_data(self, stream, payload)

    def _read_settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        if len(payload) % frames.SETTING.size:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "settings of odd length")
        for key, value in frames.SETTING.iter_unpack(payload):
            if key == frames.INITIAL_WINDOW_SIZE:
                if value > frames.MAX_WINDOW:
                    raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a window of more than 2³¹ - 1")
                for stream in self.streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
            elif key == frames.SETTING_MAX_FRAME_SIZE:
                self._max_frame = max(frames.MAX_FRAME_SIZE, min(value, 1 << 20))
        self._write(frame(frames.SETTINGS, frames.ACK, 0))
        self._send_backlogs()

    def _read_window_update(self, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a window update of another length than 4")
        increment = int.from_bytes(payload, "big") & frames.MAX_WINDOW
        stream = self.streams.get(number)
        if number == 0:
            self._send_window += increment
            if not increment or self._send_window > frames.MAX_WINDOW:
                raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "the window passed 2³¹ - 1, or did not change")
        elif stream is not None:
            stream.window += increment
        self._send_backlogs()

    # Answers

    def send_unary(self, stream: Stream, message: bytes, trailers: bytes) -> None:
        """Send the one message of a call and its end; in one piece where the windows allow it."""
        size = len(message) + 5
        if size <= min(self._send_window, stream.window, self._max_frame) and not stream.backlog:
            self._send_window -= size
            number = stream.id
            pack = frames.FRAME_HEAD.pack
            start, end = len(RESPONSE_START), len(trailers)
            self._write(
                b"".join(
                    (
                        pack(0, start, frames.HEADERS, frames.END_HEADERS, number),
                        RESPONSE_START,
                        pack(size >> 8, size & 0xFF, frames.DATA, 0, number),
                        b"\0" + len(message).to_bytes(4, "big"),
                        message,
                        pack(end >> 8, end & 0xFF, frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, number),
                        trailers,
                    )
                )
            )
            stream.is_answered = True
            self._finish(stream)
            return
        self.send_message(stream, message)
        self.end_call(stream, trailers)

    def send_message(self, stream: Stream, message: bytes) -> None:
        """Send one of a call's messages, or as much of it as the caller takes now."""
        if not stream.is_started:
            stream.is_started = True
            self._write(frame(frames.HEADERS, frames.END_HEADERS, stream.id, RESPONSE_START))
        stream.backlog.append(memoryview(b"".join((b"\0", len(message).to_bytes(4, "big"), message))))
        self._send_backlog(stream)

    def end_call(self, stream: Stream, trailers: bytes) -> None:
        """End a call after what is still to be sent of it."""
        if stream.is_answered:
            return
        stream.is_answered = True
        stream.trailers = trailers if stream.is_started else RESPONSE_START + trailers
        self._send_backlog(stream)

    def _send_backlogs(self) -> None:
        for stream in [stream for stream in self.streams.values() if stream.backlog]:
            self._send_backlog(stream)

    def _send_backlog(self, stream: Stream) -> None:
        while stream.backlog:
            piece = stream.backlog[0]
            size = min(len(piece), self._send_window, stream.window, self._max_frame)
            if size <= 0:
                return
            self._write(frame(frames.DATA, 0, stream.id, piece[:size]))
            self._send_window -= size
            stream.window -= size
            if size == len(piece):
                stream.backlog.popleft()
            else:
                stream.backlog[0] = piece[size:]
        if stream.trailers is not None:
            flags = frames.END_HEADERS | frames.END_STREAM
            self._write(frame(frames.HEADERS, flags, stream.id, stream.trailers))
            self._finish(stream)

    def _finish(self, stream: Stream) -> None:
        """Forget a call whose answer is sent; a caller who is still sending is told to stop."""
        if stream.received >= 0:
            self._write(frames.reset_frame(stream.id, ErrorCode.NO_ERROR))
        self.streams.pop(stream.id, None)
        self._close_if_drained()

    def _forget(self, stream: Stream) -> None:
        """Drop a call that its caller has left."""
        self.streams.pop(stream.id, None)
        stream.is_answered = True
        stream.backlog.clear()
        self._server.forget(stream)
        self._close_if_drained()

    # The end

    def drain(self) -> None:
        """Take no more calls; close when those in flight have ended."""
        self._is_draining = True
        self._write(frames.goaway_frame(self._last_stream, ErrorCode.NO_ERROR))
        self._close_if_drained()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _close_if_drained(self) -> None:
        if self._is_draining and not self.streams:
            self._close()

    def _close(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        """Collect what is sent in one turn of the event loop: a batch's answers leave in one system call."""
        self._output.append(data)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._transport is None or self._transport.is_closing():
            self._output.clear()
        if self._transport is None or not self._output:
            return
        if self._transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self._transport.abort()  # a peer that asks and never reads
            return
        self._transport.write(b"".join(self._output))
        self._output.clear()
