"""One model version as it is served: its rules, its queue and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from time import monotonic

from services.catalogue import ServedVariant
from services.gateway.admission import Admission
from services.gateway.answers import join_outputs
from services.gateway.backends import Backend
from services.gateway.batching import Batcher, Outputs
from services.gateway.drift import make_monitor
from services.gateway.errors import OverloadedError
from services.gateway.metrics import Metrics, ModelMetrics
from services.gateway.settings import GatewaySettings
from services.gateway.streams import Bit, Streams
from services.gateway.tensors import InferRequest, split_rows
from services.gateway.validation import Validator


class ServedModel:
    """One model version with its rules, its queue and its metrics."""

    def __init__(self, variant: ServedVariant, backend: Backend, metrics: Metrics, settings: GatewaySettings) -> None:
        num_slots = backend.num_slots(variant)
        self.variant = variant
        self._num_slots = num_slots
        self.answered_s = monotonic()
        self.relieved_until_s = 0.0
        self.max_rows = min(variant.manifest.max_rows, settings.max_batch_rows or variant.manifest.max_rows)
        self.metrics: ModelMetrics = metrics.of(variant.model, variant.version)
        self.drift = make_monitor(variant.manifest, settings.drift_rows_per_s)
        self.validator = Validator(variant.manifest, variant.manifest.max_rows * settings.max_split)
        certificate = variant.certificate
        self.admission = Admission(
            str(variant),
            max_rows=self.max_rows,
            num_slots=num_slots,
            max_wait_s=settings.max_wait_ms / 1e3,
            max_waiting_rows=settings.max_waiting_rows,
            certified=[(time.rows, time.seconds) for time in certificate.batch_times] if certificate else (),
            now=monotonic,
        )
        self.batcher = Batcher(
            variant,
            backend,
            self.metrics,
            num_slots=num_slots,
            max_rows=self.max_rows,
            max_calls=settings.batches_per_worker * num_slots,
            max_batch_bytes=settings.max_body_bytes,
            observe=self._observe,
        )
        self.streams: Streams | None = None
        if variant.manifest.streams:
            self.streams = Streams(
                variant,
                backend,
                metrics,
                num_workers=num_slots,
                max_wait_s=settings.max_wait_ms / 1e3,
                max_waiting=settings.max_waiting_rows,
                count_calls=lambda: self.batcher.num_calls,
                is_alone=settings.gateways == 1,
                note_free=self.admission.note_free,
            )

    @property
    def is_busy(self) -> bool:
        """Whether anybody waits for it or is being answered."""
        return bool(self.batcher.num_calls or self.batcher.waiting_rows or (self.streams and self.streams.count()))

    @property
    def has_room(self) -> bool:
        """Whether a worker is idle and nothing waits."""
        num_busy = self.batcher.num_calls + (self.streams.count_held().num_workers if self.streams else 0)
        return not self.batcher.waiting_rows and num_busy < self._num_slots

    def check(self, request: InferRequest, num_rows: int) -> None:
        """Let a request pass that may wait; raises as Admission does."""
        if self.streams is None:
            self.admission.check(request, num_rows, self.batcher)
            return
        try:
            self.admission.check(request, num_rows, self.batcher, self.streams.count_held())
        except OverloadedError:
            self.streams.make_way()  # else streams that keep coming would have the worker for ever
            raise

    def check_stream(self, request: InferRequest) -> None:
        """Let a stream pass that may wait; raises as Streams does."""
        assert self.streams is not None
        self.streams.admit(request)

    def stream(self, request: InferRequest, arrived_s: float) -> AsyncGenerator[Bit]:
        """Have an admitted request answered bit by bit; raises as Streams does."""
        assert self.streams is not None
        return self.streams.answer(request, arrived_s)

    async def submit(self, request: InferRequest, num_rows: int, arrived_s: float) -> Outputs:
        """Have an admitted request answered; raises as the batcher does."""
        if self.streams is not None:
            self.streams.make_way()
        if num_rows <= self.max_rows:
            return await self.batcher.submit(request, num_rows, arrived_s)
        return await self._submit_split(request, num_rows, arrived_s)

    async def _submit_split(self, request: InferRequest, num_rows: int, arrived_s: float) -> Outputs:
        """Answer a request of more rows than a batch takes as several, and join their outputs."""
        full, rest = divmod(num_rows, self.max_rows)
        row_counts = [self.max_rows] * full + ([rest] if rest else [])
        columns = [split_rows(tensor, row_counts) for tensor in request.inputs]
        parts = [replace(request, inputs=list(inputs), packed=None) for inputs in zip(*columns, strict=True)]
        results = await asyncio.gather(
            *(self.batcher.submit(part, count, arrived_s) for part, count in zip(parts, row_counts, strict=True)),
            return_exceptions=True,
        )
        last = max(parts, key=lambda part: part.queue_s + part.compute_s)
        request.queue_s, request.compute_s = last.queue_s, last.compute_s
        outputs = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            outputs.append(result)
        return join_outputs(outputs, row_counts)

    def _observe(self, num_rows: int, started_s: float, waits: Sequence[tuple[float, float]]) -> None:
        self.metrics.observe_batch(num_rows, self.admission.observe(num_rows, started_s, waits))
