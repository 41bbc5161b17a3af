"""What is kept of each request: counted, timed, traced, logged, and remembered if it was refused."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from services.gateway.access_log import log_request
from services.gateway.errors import OK, GatewayError, Status, status_of
from services.gateway.metrics import Metrics
from services.gateway.recent_errors import RecentErrors
from services.gateway.refusal_log import RefusalLog
from services.gateway.served_model import ServedModel
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest

if TYPE_CHECKING:
    from services.gateway.tracing import Tracing


class Journal:
    """Everything that is told of requests, to whoever wants to know."""

    def __init__(self, metrics: Metrics, settings: GatewaySettings) -> None:
        self.recent_errors = RecentErrors()
        self._metrics = metrics
        self._refusals = RefusalLog()
        self._log = log_request if settings.access_log else _log_nothing
        self._tracing = None if settings.trace_endpoint is None else _make_tracing(settings)

    def begin(self, request: InferRequest) -> None:
        """Begin a trace, where there are any."""
        if self._tracing is not None:
            request.trace = self._tracing.begin(request)

    def end(self, model: ServedModel, request: InferRequest, num_rows: int, status: Status, arrived_s: float) -> None:
        """Count, trace and log a request that has reached a model and ends now."""
        ended_s = monotonic()
        metrics, version = model.metrics, model.variant.version
        metrics.count(request.protocol, status.outcome)
        if status is OK:
            model.answered_s = ended_s
            exemplar = request.trace.ids if request.trace is not None and request.trace.is_sampled else None
            metrics.latency.observe(ended_s - arrived_s, exemplar)
            metrics.statistics.count_success(num_rows, ended_s - arrived_s)
        else:
            metrics.statistics.count_failure(ended_s - arrived_s)
        if self._tracing is not None:
            self._tracing.end(request, version, num_rows, status, arrived_s, ended_s)
        self._log(request, version, num_rows, status, arrived_s)

    def refuse(self, model: ServedModel, request: InferRequest, error: GatewayError) -> Status:
        """Remember why a model does not answer a request; returns the status with which that ends."""
        status = status_of(error)
        self.recent_errors.add(request, model.variant.version, status, str(error))
        self._refusals.write(request, model.variant, status, error)
        return status

    def refuse_early(self, request: InferRequest, error: GatewayError) -> None:
        """Count and log a request that reached no model: unreadable, too large, or for a model that is not here."""
        status = status_of(error)
        self._metrics.count_refusal(request.protocol, status.outcome)
        self.recent_errors.add(request, request.version, status, str(error))
        self._log(request, request.version, 0, status, monotonic())

    async def close(self) -> None:
        """Send the spans that are left."""
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)


def _make_tracing(settings: GatewaySettings) -> Tracing:
    from services.gateway.tracing import make_tracing  # Imported late: a third of a second, for those who trace

    assert settings.trace_endpoint is not None
    return make_tracing(settings.trace_endpoint, settings.trace_share)


def _log_nothing(request: InferRequest, version: str, num_rows: int, status: Status, arrived_s: float) -> None:
    """Take the access log's place when it is off."""
