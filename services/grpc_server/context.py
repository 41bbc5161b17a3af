"""What a method and an interceptor may know of a call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

REQUEST_ID = b"x-request-id"
MAX_ID_BYTES = 128


class CallContext:
    """One call: `path`, `peer` (address and port), `metadata`, `deadline_s`, `request_id`, `is_cancelled`.

    `certificate` is the subject of the certificate that the peer has proven to own, '' without one; `credential` and
    `named_by_edge` are the places for what the server has found out of who calls.

    `deadline_s` is in time.monotonic()'s seconds, infinite without one. `is_cancelled` is true once the caller has
    left; the method's task is cancelled then as well.
    """

    __slots__ = (
        "_fields",
        "_headers",
        "_metadata",
        "_new_request_id",
        "_request_id",
        "_trailing_metadata",
        "certificate",
        "credential",
        "deadline_s",
        "is_cancelled",
        "named_by_edge",
        "path",
        "peer",
    )

    def __init__(
        self,
        peer: str,
        headers: Sequence[tuple[bytes, bytes]],
        fields: Mapping[bytes, bytes],
        new_request_id: Callable[[], str],
    ) -> None:
        """`fields` are the headers by name; both are only looked into when somebody asks."""
        self.path = ""
        self.peer = peer
        self.certificate = ""
        self.credential: Any = None
        self.named_by_edge = ""
        self.deadline_s = math.inf
        self.is_cancelled = False
        self._headers = headers
        self._fields = fields
        self._new_request_id = new_request_id
        self._request_id = ""
        self._metadata: dict[str, str] | None = None
        self._trailing_metadata: list[tuple[bytes, bytes]] | None = None

    def header(self, name: str) -> str:
        """One of the caller's headers by its lower-case name, '' without it; the last of repeated ones."""
        return self._fields.get(name.encode(), b"").decode("latin-1")

    @property
    def metadata(self) -> Mapping[str, str]:
        """The caller's headers by lower-case name, repeated ones joined by commas; `-bin` values are base64 as sent."""
        if self._metadata is None:
            self._metadata = {}
            for key, value in self._headers:
                if not key.startswith(b":"):
                    name, text = key.decode("latin-1"), value.decode("latin-1")
                    known = self._metadata.get(name)
                    self._metadata[name] = text if known is None else f"{known},{text}"
        return self._metadata

    @property
    def request_id(self) -> str:
        """The id under which caller and log know the call: the header `x-request-id`, or one made when first asked."""
        if not self._request_id:
            given = self._fields.get(REQUEST_ID)
            self._request_id = given[:MAX_ID_BYTES].decode("latin-1") if given else self._new_request_id()
        return self._request_id

    @request_id.setter
    def request_id(self, value: str) -> None:
        self._request_id = value[:MAX_ID_BYTES]  # one that came in a message may be too long for a trailer

    @property
    def trailing_metadata(self) -> list[tuple[bytes, bytes]]:
        """What goes with the call's status; to be added to."""
        if self._trailing_metadata is None:
            self._trailing_metadata = []
        return self._trailing_metadata

    @property
    def has_trailing_metadata(self) -> bool:
        return bool(self._trailing_metadata)
