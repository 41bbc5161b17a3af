"""Request headers of gRPC calls, decoded once for each distinct block."""

from __future__ import annotations

from dataclasses import dataclass

import hpack

from services.gateway.http2.frames import ErrorCode, ProtocolError, header_field

MAX_HEADER_LIST_BYTES = 32_768
_CACHE_SIZE = 64
_TIMEOUT_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

RESPONSE_START = b"\x88" + header_field(
    b"content-type", b"application/grpc"
)  # 0x88: ":status: 200" of the static table
TRAILERS_OK = header_field(b"grpc-status", b"0")


@dataclass(frozen=True, slots=True)
class CallHead:
    """What a call's headers say. `timeout_s` is None without a deadline; `encoding` compresses messages."""

    path: str
    content_type: str
    encoding: str
    timeout_s: float | None
    request_id: str


class HeaderReader:
    """Decode the header blocks of one connection.

    A block that refers only to entries of the table that both sides keep means the same for as long as that table does
    not change. Clients send such a block for all calls but the first, so it is decoded once.
    """

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=MAX_HEADER_LIST_BYTES)
        self._cache: dict[bytes, CallHead] = {}

    def read(self, block: bytes) -> CallHead:
        """Decode one block.

        Raises:
            ProtocolError: the block is broken; the tables of both sides differ from here on.
        """
        known = self._cache.get(block)
        if known is not None:
            return known
        entries = self._decoder.header_table.dynamic_entries
        newest = entries[0] if entries else None
        try:
            fields = dict(self._decoder.decode(block, raw=True))
        except hpack.HPACKError as error:
            raise ProtocolError(ErrorCode.COMPRESSION_ERROR, f"header block: {error}") from None
        head = _make_head(fields)
        resizes_table = block[:1] != b"" and block[0] & 0xE0 == 0x20
        changes_table = resizes_table or (entries[0] if entries else None) is not newest
        if changes_table or len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        if not changes_table:
            self._cache[block] = head
        return head


def error_trailers(status: int, message: str, request_id: str) -> bytes:
    """Encode the trailers of a failed call; the message is percent-encoded as gRPC wants it."""
    fields = header_field(b"grpc-status", str(status).encode()) + header_field(
        b"grpc-message", _percent_encode(message)
    )
    return fields + header_field(b"x-request-id", request_id.encode("ascii", "replace")) if request_id else fields


def _make_head(fields: dict[bytes, bytes]) -> CallHead:
    def text(name: bytes) -> str:
        return fields.get(name, b"").decode("latin-1")

    return CallHead(
        path=text(b":path"),
        content_type=text(b"content-type"),
        encoding=text(b"grpc-encoding") or "identity",
        timeout_s=_parse_timeout(text(b"grpc-timeout")),
        request_id=text(b"x-request-id"),
    )


def _parse_timeout(text: str) -> float | None:
    if not text or text[-1] not in _TIMEOUT_UNITS_S or not text[:-1].isdecimal():
        return None
    return int(text[:-1]) * _TIMEOUT_UNITS_S[text[-1]]


def _percent_encode(message: str) -> bytes:
    encoded = bytearray()
    for byte in message.encode()[:4000]:
        if 0x20 <= byte <= 0x7E and byte != 0x25:
            encoded.append(byte)
        else:
            encoded += b"%%%02X" % byte
    return bytes(encoded)
