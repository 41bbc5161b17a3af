"""What leaves on one connection: answers, acknowledgements and the last word, no faster than the peer takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import ngh2
import structlog

from services.grpc_server.call import Call, CallServer
from services.grpc_server.errors import CallError
from services.grpc_server.headers import ANSWER_HEAD, TRAILERS_OK, make_failure_head, make_trailers
from services.grpc_server.limits import Limits
from services.grpc_server.messages import make_prefix
from services.grpc_server.methods import Screen, Streaming, Unary
from services.grpc_server.streaming_call import StreamingCall

logger = structlog.get_logger("grpc_server")

# Bytes handed to the transport at once; it asks to pause when it holds as many.
CHUNK_BYTES = 1 << 18
# A streaming method waits while its call has more than this unsent; while the connection has too much, more than none.
_BACKLOG_BYTES = 1 << 16
# Larger answers are not copied to stand in one piece with their prefix.
_SMALL_BYTES = 1 << 14


class ConnectionServer(CallServer, Protocol):
    """A server, as far as connections need it; each is in its `connections` while it lasts."""

    limits: Limits
    routes: dict[bytes, tuple[str, type[Call[Any]], Unary | Streaming]]
    new_request_id: Callable[[], str]
    screen: Screen | None
    connections: set[Any]
    settings: dict[Any, int]
    configuration: ngh2.Configuration

    def flush_soon(self, connection: Any) -> None: ...


class Output(asyncio.Protocol):
    """The sending half of a connection; connection.py has the other."""

    def __init__(self, server: ConnectionServer) -> None:
        self.server = server
        self.limits = server.limits
        self.loop = asyncio.get_running_loop()
        self.unsent_bytes = 0  # of answers, but for small ones since the last flush
        self.is_choked = False  # too many answers are unread, of this peer or of all
        self.progress_s = 0.0
        self._session = ngh2.Connection(ngh2.Role.SERVER, server.configuration)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._certificate = ""  # the subject of the peer's, as RFC 4514 writes it
        self._calls: dict[int, Call[Any]] = {}
        self._unread: list[Call[Any]] = []  # answered while their callers are still sending
        self._waiting: list[asyncio.Future[None]] = []  # calls that wait for the peer to read answers
        self._held: list[tuple[int, int]] = []  # acknowledgements that wait for the same
        self._senders: list[asyncio.Future[None]] = []
        self._fresh_bytes = 0  # of small answers since the last flush
        self._flush_is_due = False
        self._is_paused = False  # the transport's buffer is full
        self._is_closed = False

    def pause_writing(self) -> None:
        """Read no more from a peer that does not read either: what it sends would make more to write."""
        self._is_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._is_closed:
            self._transport.resume_reading()
            self.flush_soon()

    async def wait_for_room(self) -> None:
        """Wait while the peer leaves too many answers unread."""
        while self.is_choked:
            waiting = self.loop.create_future()
            self._waiting.append(waiting)
            await waiting

    def acknowledge(self, stream_id: int, size: int) -> None:
        """Tell the peer that it may send as many bytes more; while it leaves too many answers unread, later."""
        if self.is_choked:
            self._held.append((stream_id, size))
        elif size and not self._is_closed:
            self._session.acknowledge_received_data(size, stream_id)

    def send_unary(self, call: Call[Any], message: bytes) -> None:
        """Send a call's only message and its end."""
        if self._is_closed or call.is_answered:
            return
        session, stream_id = self._session, call.stream_id
        session.send_response(stream_id, ANSWER_HEAD)
        self._send_data(stream_id, message)
        trailers = make_trailers(call.context) if call.context.has_trailing_metadata else TRAILERS_OK
        session.send_trailers(stream_id, trailers)
        self._end(call)

    async def send_message(self, call: StreamingCall, message: bytes) -> None:
        """Send one of a call's messages; return when the peer has taken most of what was sent before."""
        if self._is_closed or call.is_answered:
            raise asyncio.CancelledError
        self._send_head(call)
        self._send_data(call.stream_id, message)
        self.flush_soon()
        while not call.is_answered and self._is_backed_up(call.stream_id):
            sender = self.loop.create_future()
            self._senders.append(sender)
            await sender

    def send_end(self, call: Call[Any]) -> None:
        """End a call that went well, after what is still to be sent of it."""
        if self._is_closed or call.is_answered:
            return
        self._send_head(call)
        self._session.send_trailers(call.stream_id, make_trailers(call.context))
        self._end(call)

    def send_failure(self, call: Call[Any], error: CallError) -> None:
        """End a call that did not."""
        if self._is_closed or call.is_answered:
            return
        if call.has_sent:
            self._session.send_trailers(call.stream_id, make_trailers(call.context, error))
        else:
            self._session.send_response(call.stream_id, make_failure_head(call.context, error), end_stream=True)
        self._end(call)

    def _send_head(self, call: Call[Any]) -> None:
        if not call.has_sent:
            call.has_sent = True
            self._session.send_response(call.stream_id, ANSWER_HEAD)

    def _send_data(self, stream_id: int, message: bytes) -> None:
        size = len(message)
        prefix = make_prefix(size)
        if size <= _SMALL_BYTES:
            self._session.send_data(stream_id, prefix + message)
            self._fresh_bytes += size
        else:
            self._session.send_data(stream_id, prefix)
            self._session.send_data(stream_id, message)
            self.server.buffers.note_unsent(self, self.unsent_bytes + size)
        if self.unsent_bytes + self._fresh_bytes > self.limits.pause_bytes or self.server.buffers.is_full:
            self.is_choked = True

    def _end(self, call: Call[Any]) -> None:
        call.is_answered = True
        if call.reader is not None:
            call.release()
        if call.is_request_open:
            self._unread.append(call)
        else:
            self._calls.pop(call.stream_id, None)
            if call.timer is not None:
                call.timer.cancel()
        if self._calls or self._flush_is_due:
            self.flush_soon()
        else:
            self.flush()  # nothing can join this answer, and it needs not wait for the turn's end

    def flush_soon(self) -> None:
        """Collect what is sent in one turn of the event loop: a batch's answers leave in one system call."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self.server.flush_soon(self)

    def flush(self) -> None:
        """Write what may be written now."""
        self._flush_is_due = False
        if self._is_closed or self._transport is None:
            return
        session = self._session
        try:
            while not self._is_paused:
                data = session.data_to_send(CHUNK_BYTES)
                if data:
                    self._transport.write(data)
                if len(data) < CHUNK_BYTES:
                    break
            if self._unread:
                self._reset_unread()
            if not session.want_read:
                self._close()  # this was the last word
                return
        except ngh2.NGH2Error as error:
            self._give_up(ngh2.ErrorCode.INTERNAL_ERROR, str(error))
            return
        unsent_bytes = session.queued_body_size()
        if unsent_bytes or self.unsent_bytes or self.is_choked:
            self._note_unsent(unsent_bytes)
        self._fresh_bytes = 0
        if self._senders:
            self._senders = wake(self._senders)

    def _reset_unread(self) -> None:
        """Tell callers who are still sending that their calls have ended, once the answers are out."""
        unread, self._unread = self._unread, []
        for call in unread:
            if self._calls.get(call.stream_id) is not call or not call.is_request_open:
                continue
            if self._is_paused or self._session.queued_body_size(call.stream_id):
                self._unread.append(call)
            else:
                self._session.reset_stream(call.stream_id, ngh2.ErrorCode.NO_ERROR)
                self.flush_soon()

    def _note_unsent(self, unsent_bytes: int) -> None:
        if unsent_bytes < self.unsent_bytes + self._fresh_bytes or not self.unsent_bytes:
            self.progress_s = self.loop.time()
        self.server.buffers.note_unsent(self, unsent_bytes)
        if unsent_bytes > (0 if self.server.buffers.is_full else self.limits.pause_bytes // 2):
            return
        self.is_choked = False
        held, self._held = self._held, []
        for stream_id, size in held:
            self.acknowledge(stream_id, size)
        self._waiting = wake(self._waiting)
        if held:  # and not for what the peer does not take: that would be a loop without a pause
            self.flush_soon()

    def _is_backed_up(self, stream_id: int) -> bool:
        limit = 0 if self.is_choked else _BACKLOG_BYTES
        return self._session.queued_body_size(stream_id) > limit

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def cut_off(self, why: str) -> None:
        """End the connection of a peer that asks for too much."""
        self._give_up(ngh2.ErrorCode.ENHANCE_YOUR_CALM, why)

    def _give_up(self, code: ngh2.ErrorCode, why: str) -> None:
        """Say why and close; by hand, since libnghttp2 says nothing more once it has failed."""
        if self._is_closed:
            return
        logger.warning("a gRPC peer was cut off", peer=self._peer, code=code.name, why=why)
        if self._transport is not None:
            self._transport.write(_make_goaway(max(self._calls, default=0), code, why))
        self._close()

    def _close(self) -> None:
        self._is_closed = True
        if self._transport is None:
            return
        if self._is_paused:
            self._transport.abort()  # it reads nothing: an orderly end would wait for that
        else:
            self._transport.close()


def wake(waiting: list[asyncio.Future[None]]) -> list[asyncio.Future[None]]:
    """Wake all that wait; return that nobody does."""
    for future in waiting:
        if not future.done():
            future.set_result(None)
    return []


def _make_goaway(last_stream_id: int, code: ngh2.ErrorCode, why: str) -> bytes:
    payload = last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big") + why.encode()[:200]
    return len(payload).to_bytes(3, "big") + b"\x07\x00\x00\x00\x00\x00" + payload
