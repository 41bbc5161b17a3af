"""Keeps a sample of requests with their answers, beside the event loop and never in a request's way."""

from __future__ import annotations

import random
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import BoundedSemaphore

import structlog

from services.catalogue import ServedVariant
from services.gateway.caller import name_caller
from services.gateway.grpc_messages import encode_answer
from services.gateway.metrics import Metrics
from services.gateway.packing import pack_requests
from services.gateway.readiness import PROTOCOL
from services.gateway.records import Record, RecordFolder
from services.gateway.tensors import InferAnswer, InferRequest

logger = structlog.get_logger("gateway")

# Records that wait to be written; where the disk is slower than that, some are left out.
MOST_PENDING = 32


class Recorder:
    """Chooses requests at random and writes them in a thread of its own."""

    def __init__(self, folder: RecordFolder, share: float, metrics: Metrics) -> None:
        self._folder = folder
        self._share = share
        self._writer = ThreadPoolExecutor(1, "recorder")
        self._room = BoundedSemaphore(MOST_PENDING)
        self._outcomes = metrics.records

    def choose(self, request: InferRequest) -> Recorder | None:
        """Say who keeps a request, if anybody, before it is answered: what is drawn for it has to be known then."""
        return self if random.random() < self._share and request.protocol != PROTOCOL else None

    def keep(self, request: InferRequest, variant: ServedVariant, answer: InferAnswer) -> None:
        """Keep a request that was chosen and has been answered."""
        if not self._room.acquire(blocking=False):
            self._outcomes.labels("left_out").inc()
            return
        record = Record(
            request_id=request.id,
            moment=datetime.now(UTC).isoformat(),
            caller=name_caller(request.caller),
            model=variant.model,
            version=variant.version,
            release_digest=variant.release_digest,
            request=pack_requests([request]),
            answer=encode_answer(answer),
        )
        self._writer.submit(self._folder.write, record).add_done_callback(self._finish)

    def close(self) -> None:
        """Write what is left."""
        self._writer.shutdown()

    def _finish(self, written: Future[None]) -> None:
        self._room.release()
        error = written.exception()
        self._outcomes.labels("kept" if error is None else "failed").inc()
        if error is not None:
            logger.error("a record could not be written", why=f"{type(error).__name__}: {error}")
