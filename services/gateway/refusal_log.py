"""The log of refused requests: why each was, but not of a flood of them, which a flood of lines would make worse."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import structlog

from services.catalogue import ServedVariant
from services.gateway.errors import GatewayError, Status
from services.gateway.tensors import InferRequest

logger = structlog.get_logger("gateway")

# A line takes as long to write as all else that a refusal is.
LINES_PER_S = 10


class RefusalLog:
    """Writes so many lines a second, and with the next how many there would have been between."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._begun_s = now()
        self._num_lines = 0
        self._num_unsaid = 0

    def write(self, request: InferRequest, variant: ServedVariant, status: Status, error: GatewayError) -> None:
        now_s = self._now()
        if now_s - self._begun_s >= 1:
            self._begun_s, self._num_lines = now_s, 0
        if self._num_lines == LINES_PER_S:
            self._num_unsaid += 1
            return
        self._num_lines += 1
        more = {} if request.trace is None else dict(request.trace.ids)
        if self._num_unsaid:
            more["unsaid"] = str(self._num_unsaid)
            self._num_unsaid = 0
        logger.info("refused", request=request.id, variant=str(variant), outcome=status.outcome, why=str(error), **more)
