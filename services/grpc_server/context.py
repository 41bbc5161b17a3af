"""What a method and an interceptor may know of a call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

MAX_ID_LENGTH = 128

Headers = Iterable[tuple[bytes, bytes]]


class CallContext:
    """One call: `path`, `peer` (address and port), `metadata`, `deadline_s`, `request_id`, `is_cancelled`.

    `deadline_s` is in time.monotonic()'s seconds, infinite without one. `is_cancelled` is true once the caller has
    left; the method's task is cancelled then as well. What is added to `trailing_metadata` goes with the status.
    """

    __slots__ = (
        "_headers",
        "_metadata",
        "_new_request_id",
        "_request_id",
        "deadline_s",
        "is_cancelled",
        "path",
        "peer",
        "trailing_metadata",
    )

    def __init__(
        self,
        path: str,
        peer: str,
        headers: Headers = (),
        *,
        deadline_s: float = math.inf,
        request_id: str = "",
        new_request_id: Callable[[], str] = str,
    ) -> None:
        self.path = path
        self.peer = peer
        self.deadline_s = deadline_s
        self.is_cancelled = False
        self.trailing_metadata: list[tuple[bytes, bytes]] = []
        self._headers = headers
        self._metadata: dict[str, str] | None = None
        self._request_id = request_id[:MAX_ID_LENGTH]
        self._new_request_id = new_request_id

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
            self._request_id = self._new_request_id()
        return self._request_id

    @request_id.setter
    def request_id(self, value: str) -> None:
        self._request_id = value
