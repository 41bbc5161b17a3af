"""HTTP/1.1 on one connection, whose refusals are those of errors.py: what is no HTTP reaches no application."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.gateway.errors import GatewayError, InvalidRequestError
from services.gateway.rest_errors import make_error_response
from services.grpc_server.peers import read_subject

# Told of a refusal and of who is refused; returns the request's id.
NoteRefusal = Callable[[GatewayError, str], str]

# The parser itself keeps a head, or what follows a body, of any length.
MAX_HEAD_BYTES = 65_536
_HEAD_TOO_LARGE = 431


def note_nothing(error: GatewayError, peer: str) -> str:
    """Make an id, where nobody counts."""
    return secrets.token_hex(8)


class HttpProtocol(HttpToolsProtocol):
    """Leaves the subject of the peer's certificate, '' without one, in `request.state.certificate`."""

    def __init__(self, *args: Any, note_refusal: NoteRefusal, **named: Any) -> None:
        super().__init__(*args, **named)
        self._note_refusal = note_refusal
        self._pending_bytes = 0  # since the last thing that the application gets to know

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "certificate": read_subject(transport)}

    def data_received(self, data: bytes) -> None:
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            text = f"the head is larger than {MAX_HEAD_BYTES} bytes; send what is large in the body"
            self._refuse(InvalidRequestError(text), _HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._pending_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did, for which this is called while its error is handled."""
        error = sys.exception()
        why = error and (error.__context__ or error)
        self._refuse(InvalidRequestError(f"this is no request of HTTP/1.1: {why or msg}"))

    def _refuse(self, error: GatewayError, http_status: int | None = None) -> None:
        """Answer a request that no application got whole, and end the connection: what follows cannot be told apart."""
        peer = f"{self.client[0]}:{self.client[1]}" if self.client is not None else ""
        request_id = self._note_refusal(error, peer)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            response = make_error_response(error, request_id, http_status)
            headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
            lines = [b"%s: %s\r\n" % header for header in headers]
            self.transport.write(b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n", bytes(response.body)]))
        self.transport.close()
