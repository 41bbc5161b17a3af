"""Requests that ended a worker's process whenever they were tried: remembered, so that they end no more of them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

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
        digest = _digest(request)
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
        return _digest(request) in self._ends_s


def _digest(request: InferRequest) -> bytes:
    """Digest what a worker sees of a request; not its id, which differs each time."""
    digest = hashlib.blake2b(digest_size=16)
    for tensor in request.inputs:
        digest.update(f"{tensor.name} {tensor.datatype} {tensor.shape} {len(tensor.data)} ".encode())
        digest.update(tensor.data)
    parameters = sorted((name, type(value).__name__, value) for name, value in request.parameters.items())
    digest.update(repr((parameters, request.outputs)).encode())
    return digest.digest()
