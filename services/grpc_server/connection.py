"""One HTTP/2 connection: bytes of the transport to events of calls; output.py has the way back.

libnghttp2 keeps the protocol; what is here is what asyncio and gRPC need around it, and when a peer has had enough.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import ngh2

from services.grpc_server.call import Call
from services.grpc_server.context import CallContext
from services.grpc_server.errors import NotGrpcError, UnknownMethodError
from services.grpc_server.headers import is_grpc, parse_timeout_s
from services.grpc_server.output import CHUNK_BYTES, ConnectionServer, Output, wake
from services.grpc_server.peers import read_subject
from services.grpc_server.streaming_call import StreamingCall

ALPN = "h2"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_NO_HTTP2 = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\nThis port speaks gRPC.\n"
# A method has a moment to answer a passed deadline itself; it may know more about it.
_DEADLINE_GRACE_S = 0.05
# A call that is reset sooner than this has made work and waited for none of it.
_EARLY_S = 0.01
# Connections that were made together, at a start, do not end together.
_AGES = (0.9, 1.1)
# For a peer that does not answer the ping of a graceful end.
_DRAIN_PING_S = 1.0


class Connection(Output):
    """The calls of one peer."""

    def __init__(self, server: ConnectionServer) -> None:
        super().__init__(server)
        self._preface: bytes | None = b""  # what has come of it; None when it is complete
        self._now_s = 0.0
        self._patience = float(server.limits.burst)
        self._patience_s = 0.0
        self._is_draining = False
        self._age: asyncio.TimerHandle | None = None

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(CHUNK_BYTES)
        address = transport.get_extra_info("peername") or ("unknown", 0)
        self._peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
        secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if secured is not None and secured.selected_alpn_protocol() not in (ALPN, None):
            self._transport.abort()
            return
        if secured is not None:
            self._certificate = read_subject(transport)
        self._patience_s = self.loop.time()
        self.server.connections.add(self)
        if self.limits.max_age_s:
            self._age = self.loop.call_later(self.limits.max_age_s * random.uniform(*_AGES), self._retire)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closed = True
        if self._age is not None:
            self._age.cancel()
        self.server.connections.discard(self)
        calls, self._calls = self._calls, {}
        for call in calls.values():
            self._forget(call)
        self.server.buffers.note_unsent(self, 0)
        self._senders = wake(self._senders)
        self._waiting = wake(self._waiting)

    def data_received(self, data: bytes) -> None:
        if self._is_closed:
            return
        if self._preface is not None:
            data = self._read_preface(self._preface + data)
        if not data:
            return
        self._now_s = self.loop.time()
        try:
            self._session.receive_data(data)
            for event in self._session.events():
                handle = _HANDLERS.get(type(event))
                if handle is not None:
                    handle(self, event)
        except ngh2.DenialOfServiceError as error:
            self._give_up(ngh2.ErrorCode.ENHANCE_YOUR_CALM, str(error))
        except ngh2.NGH2Error as error:
            self._give_up(ngh2.ErrorCode.PROTOCOL_ERROR, str(error))
        if not self._is_closed and not self._flush_is_due and self._session.want_write:
            self.flush_soon()

    def _read_preface(self, data: bytes) -> bytes:
        """Wait for the client's preface; return what is to be read by the protocol."""
        if not PREFACE.startswith(data[: len(PREFACE)]):
            assert self._transport is not None
            self._transport.write(_NO_HTTP2)
            self._close()
            return b""
        if len(data) < len(PREFACE):
            self._preface = data
            return b""
        self._preface = None
        self._session.initiate_connection(self.server.settings)
        self._session.set_local_window_size(self.limits.connection_window_bytes)
        return data

    # Events

    def _open_call(self, event: ngh2.RequestReceived) -> None:
        stream_id, headers = event.stream_id, event.headers
        fields = dict(headers)
        context = CallContext(self._peer, headers, fields, self.server.new_request_id)
        context.certificate = self._certificate
        route = self.server.routes.get(fields.get(b":path", b""))
        if route is None or not is_grpc(fields.get(b"content-type", b"")):
            call = self._refuse_call(stream_id, context, fields)
        else:
            context.path, kind, method = route
            screen = self.server.screen
            refusal = None if screen is None else screen(context)
            if refusal is not None:
                call = Call(self, stream_id, context, None, self._now_s)
                call.refuse(refusal)
            else:
                call = kind(self, stream_id, context, method, self._now_s)
                if kind is StreamingCall:
                    call.begin()
        self._calls[stream_id] = call
        timeout = fields.get(b"grpc-timeout")
        if timeout is not None:
            self._set_deadline(call, timeout)
        if event.end_stream:
            call.end_request()

    def _refuse_call(self, stream_id: int, context: CallContext, fields: dict[bytes, bytes]) -> Call[Any]:
        content_type = fields.get(b"content-type", b"")
        call: Call[Any] = Call(self, stream_id, context, None, self._now_s)
        context.path = fields.get(b":path", b"").decode("latin-1")
        if is_grpc(content_type):
            call.refuse(UnknownMethodError(f"there is no method {context.path}"))
        else:
            text = f"content-type is {content_type.decode('latin-1')!r}; this port takes application/grpc"
            call.refuse(NotGrpcError(text))
        return call

    def _set_deadline(self, call: Call[Any], timeout: bytes) -> None:
        timeout_s = parse_timeout_s(timeout)
        if timeout_s is not None:
            call.context.deadline_s = monotonic() + timeout_s
            call.timer = self.loop.call_later(timeout_s + _DEADLINE_GRACE_S, call.expire)

    def _read_data(self, event: ngh2.DataReceived) -> None:
        stream_id, data = event.stream_id, event.data
        call = self._calls.get(stream_id)
        if call is None:
            self.acknowledge(stream_id, len(data))
            return
        if event.end_stream:
            if call.take_whole(data):
                return
            if data:
                call.take_data(data)
            call.end_request()
        elif data:
            call.take_data(data)
        else:
            self._lose_patience("empty data")

    def _read_trailers(self, event: ngh2.TrailersReceived) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None:
            call.end_request()

    def _close_stream(self, event: ngh2.StreamClosed) -> None:
        call = self._calls.pop(event.stream_id, None)
        if call is not None:
            self._forget(call)

    def _read_reset(self, event: ngh2.StreamReset) -> None:
        call = self._calls.get(event.stream_id)
        if call is not None and self._now_s - call.opened_s < _EARLY_S:
            self._lose_patience("calls that were reset at once")

    def _forget(self, call: Call[Any]) -> None:
        """Let go of a call whose stream has ended, answered or not."""
        if call.timer is not None:
            call.timer.cancel()
        if not call.is_answered:
            call.abandon()

    def _lose_patience(self, what: str) -> None:
        """Count a frame that asks for work and brings none.

        Raises:
            ngh2.DenialOfServiceError: there were too many.
        """
        self._patience -= 1
        if self._patience < 0:
            limits = self.limits
            gained = (self._now_s - self._patience_s) * limits.burst_per_s
            self._patience_s = self._now_s
            self._patience = min(limits.burst, self._patience + gained)
            if self._patience < 0:
                raise ngh2.DenialOfServiceError(f"too many {what}")

    def drain(self) -> None:
        """Announce the end; the final word follows when the peer has surely heard it. Calls in flight are answered."""
        self._begin_drain(waits=bool(self._calls))

    def _retire(self) -> None:
        """Drain; also a peer without calls has a moment, since its next one may be under way."""
        self._begin_drain(waits=True)

    def _begin_drain(self, *, waits: bool) -> None:
        self._is_draining = True
        if self._preface is not None:
            self._close()
        elif waits:
            self._warn()
        else:
            self._end_drain()

    def _warn(self) -> None:
        self._session.send_shutdown_notice()
        self._session.ping()
        self.loop.call_later(_DRAIN_PING_S, self._end_drain)
        self.flush_soon()

    def _end_drain(self) -> None:
        if self._is_draining and not self._is_closed:
            self._is_draining = False
            self._session.send_goaway()
            self.flush_soon()


_HANDLERS: dict[type[ngh2.Event], Callable[[Connection, Any], None]] = {
    ngh2.DataReceived: Connection._read_data,
    ngh2.RequestReceived: Connection._open_call,
    ngh2.StreamClosed: Connection._close_stream,
    ngh2.TrailersReceived: Connection._read_trailers,
    ngh2.StreamReset: Connection._read_reset,
    ngh2.PingReceived: lambda connection, _: connection._lose_patience("pings"),
    ngh2.SettingsReceived: lambda connection, _: connection._lose_patience("settings"),
    ngh2.PriorityUpdateReceived: lambda connection, _: connection._lose_patience("priorities"),
    ngh2.PingAcknowledged: lambda connection, _: connection._end_drain(),
    ngh2.ConnectionClosed: lambda connection, _: connection._close(),
}
