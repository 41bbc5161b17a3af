"""Heads and trailers of calls. Source: "gRPC over HTTP2" (PROTOCOL-HTTP2.md of grpc/grpc)."""

from __future__ import annotations

from services.grpc_server.context import REQUEST_ID, CallContext
from services.grpc_server.errors import CallError

Fields = list[tuple[bytes, bytes]]

CONTENT_TYPE = (b"content-type", b"application/grpc")
# Made once: the same lists go with every call.
ANSWER_HEAD: Fields = [(b":status", b"200"), CONTENT_TYPE]
TRAILERS_OK: Fields = [(b"grpc-status", b"0")]

_MAX_MESSAGE_BYTES = 4000
_TIMEOUT_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def is_grpc(content_type: bytes) -> bool:
    return content_type == b"application/grpc" or content_type.startswith((b"application/grpc+", b"application/grpc;"))


def parse_timeout_s(text: bytes) -> float | None:
    """Read the header `grpc-timeout`; None if it says nothing that can be understood."""
    digits, unit = text[:-1], _TIMEOUT_UNITS_S.get(text[-1:])
    if unit is None or not digits.isdigit() or len(digits) > 8:
        return None
    return int(digits) * unit


def make_trailers(context: CallContext, error: CallError | None = None) -> Fields:
    """Make the trailers of a call: status and text, the request id of a failed one, and what the method added."""
    if error is None:
        return [*TRAILERS_OK, *context.trailing_metadata] if context.has_trailing_metadata else TRAILERS_OK
    return [
        (b"grpc-status", b"%d" % error.status),
        (b"grpc-message", _percent_encode(str(error))),
        (REQUEST_ID, _percent_encode(context.request_id)),
        *context.trailing_metadata,
    ]


def make_failure_head(context: CallContext, error: CallError) -> Fields:
    """Make the only headers of a call that fails before anything was sent."""
    return [(b":status", b"%d" % error.http_status), CONTENT_TYPE, *make_trailers(context, error)]


def _percent_encode(text: str) -> bytes:
    data = text.encode(errors="replace")[:_MAX_MESSAGE_BYTES]
    if data.isascii() and b"%" not in data and text.isprintable():
        return data
    return b"".join([b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in data])
