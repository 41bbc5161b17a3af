"""Requests that ended a worker's process whenever they were tried: remembered, so that they end no more of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from services.gateway.request_digest import digest_request
from services.gateway.tensors import InferRequest

# Long enough for a caller's retries, short enough for a worker that died of something else (no memory) to be forgiven.
KEPT_S = 600.0
MOST_KEPT = 1024


class Quarantine:
    """The requests of one model version that may not run, by their contents; the oldest are forgotten first."""

    def __init__(
        self, kept_s: float = KEPT_S, most_kept: int = MOST_KEPT, now: Callable[[], float] = monotonic
    ) -> None:
        self._kept_s = kept_s
        self._most_kept = most_kept
        self._now = now
        self._ends_s: OrderedDict[bytes, float] = OrderedDict()

    def add(self, request: InferRequest) -> None:
        """Remember a request."""
        digest = digest_request(request)
        self._ends_s[digest] = self._now() + self._kept_s
        self._ends_s.move_to_end(digest)
        if len(self._ends_s) > self._most_kept:
            self._ends_s.popitem(last=False)

    def holds(self, request: InferRequest) -> bool:
        """Say whether the same request is remembered; costs nothing while none is."""
        if not self._ends_s:
            return False
        while self._ends_s and next(iter(self._ends_s.values())) <= self._now():
            self._ends_s.popitem(last=False)
        return digest_request(request) in self._ends_s
