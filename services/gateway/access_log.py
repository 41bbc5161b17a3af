"""The access log: one structured line for each inference request, answered or not."""

from __future__ import annotations

from time import monotonic

from services.gateway.errors import Status
from services.gateway.tensors import InferRequest
from services.logs import make_own_logger

# Who asks for this log wants it.
logger = make_own_logger()

MAX_NAME_CHARS = 128


def log_request(request: InferRequest, version: str, num_rows: int, status: Status, arrived_s: float) -> None:
    """Write the line of a request that ends now; times are in milliseconds, `status` is the protocol's own."""
    logger.info(
        "request",
        protocol=request.protocol,
        model=request.model[:MAX_NAME_CHARS],
        version=version[:MAX_NAME_CHARS],
        outcome=status.outcome,
        status=status.http if request.protocol == "http" else status.grpc.name,
        rows=num_rows,
        queue_ms=round(1e3 * request.queue_s, 3),
        compute_ms=round(1e3 * request.compute_s, 3),
        total_ms=round(1e3 * (monotonic() - arrived_s), 3),
        request=request.id,
        **({} if request.trace is None else request.trace.ids),
    )
