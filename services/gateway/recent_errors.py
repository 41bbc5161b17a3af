"""The last requests that got no answer, for a person who looks: a log on disk is not where they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from services.gateway.errors import Status
from services.gateway.tensors import InferRequest

MAX_ERRORS = 100
MAX_CHARS = 500


class RecentError(NamedTuple):
    """What its caller was told; names and texts are a stranger's and are cut off."""

    time_s: float
    request: str
    protocol: str
    model: str
    version: str
    outcome: str
    why: str


class RecentErrors:
    """A bounded memory, newest first."""

    def __init__(self) -> None:
        self._errors: deque[RecentError] = deque(maxlen=MAX_ERRORS)

    def add(self, request: InferRequest, version: str, status: Status, why: str) -> None:
        error = RecentError(
            time_s=time.time(),
            request=request.id[:MAX_CHARS],
            protocol=request.protocol,
            model=request.model[:MAX_CHARS],
            version=version[:MAX_CHARS],
            outcome=status.outcome,
            why=why[:MAX_CHARS],
        )
        self._errors.appendleft(error)

    def __iter__(self) -> Iterator[RecentError]:
        return iter(tuple(self._errors))
