"""Whether this machine is as fast as it was when the variant's capacity was certified for its class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from statistics import median

import structlog

from services.catalogue import ServedVariant
from services.example_requests import build_golden_requests
from services.gateway.grpc_messages import decode_request
from services.gateway.readiness import PROTOCOL
from services.gateway.tensors import InferAnswer, InferRequest

logger = structlog.get_logger("pace")

NUM_CALLS = 7
# Calls of one machine differ by this much from one minute to the next; what is slower is another machine in effect.
ALLOWED = 1.5


async def check_pace(variant: ServedVariant, infer: Callable[[InferRequest], Awaitable[InferAnswer]]) -> float | None:
    """Time a variant's golden rows against its certificate, and log where they take longer than certified.

    Returns the ratio of both, measured over certified; None without a certificate.

    Raises:
        GatewayError: the variant did not answer.
    """
    certificate = variant.certificate
    if certificate is None:
        return None
    golden = build_golden_requests(variant)[0].request
    times_s = []
    for _ in range(NUM_CALLS):
        request = decode_request(golden)
        request.id, request.protocol = f"pace-{variant.version}", PROTOCOL
        await infer(request)
        times_s.append(request.compute_s)
    num_rows = request.inputs[0].shape[0]
    certified_s = certificate.predict_batch_s(num_rows)
    ratio = median(times_s) / certified_s
    log = logger.warning if ratio > ALLOWED else logger.info
    log(
        "slower than certified; expect less of it" if ratio > ALLOWED else "as fast as certified",
        variant=str(variant),
        rows=num_rows,
        took_ms=round(1e3 * median(times_s), 2),
        certified_ms=round(1e3 * certified_s, 2),
        rows_per_s=certificate.rows_per_s,
        bound_ms=certificate.bound_ms,
    )
    return ratio
