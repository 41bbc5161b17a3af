"""Spans of sampled requests, sent to an OpenTelemetry collector.

They are made when a request has ended, from times that were taken on the way: a request that is not sampled costs a
look at its headers. The worker needs no SDK: it returns its times with the answer, and its span is made here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from services.gateway.errors import Status as Outcome
from services.gateway.tensors import InferRequest
from services.gateway.trace import CallTimes, Trace, begin_trace, make_span_id

NAME = "millrace"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Tracing:
    """Decide which requests are traced, and send their spans."""

    def __init__(self, share: float, exporter: SpanExporter) -> None:
        """`share` is of the requests that bring no trace of their own."""
        self._share = share
        self._processor = BatchSpanProcessor(exporter)
        version = metadata.version(NAME)
        self._resource = Resource.create({"service.name": NAME, "service.version": version})
        self._scope = InstrumentationScope(NAME, version)
        # Of the request whose spans are being made: the wall clock when the monotonic one was 0, which is set at times,
        # and what names a span in its trace.
        self._zero_ns = 0
        self._in_trace: Callable[[int], SpanContext]

    def begin(self, request: InferRequest) -> Trace | None:
        header = request.caller.header
        return begin_trace(header("traceparent"), self._share, header("tracestate"))

    def end(
        self, request: InferRequest, version: str, num_rows: int, status: Outcome, arrived_s: float, ended_s: float
    ) -> None:
        """Make the spans of a request that has ended: its own, its waiting, its calls, the worker's part of each."""
        trace = request.trace
        if trace is None or not trace.is_sampled:
            return
        self._zero_ns = time.time_ns() - time.monotonic_ns()
        state = TraceState.from_header([trace.state]) if trace.state else None
        self._in_trace = partial(SpanContext, trace.trace_id, is_remote=False, trace_flags=_SAMPLED, trace_state=state)
        attributes = {
            "millrace.model": request.model,
            "millrace.version": version,
            "millrace.rows": num_rows,
            "millrace.outcome": status.outcome,
            "millrace.request": request.id,
            "network.protocol.name": request.protocol,
            "millrace.cached": trace.is_cached,
        }
        broke = Status(StatusCode.ERROR, status.outcome) if status.http >= 500 else Status()
        own = self._make(
            f"infer {request.model}",
            (arrived_s, ended_s),
            span_id=trace.span_id,
            parent_id=trace.parent_id,
            kind=SpanKind.SERVER,
            attributes=attributes,
            status=broke,
        )
        for span in (*self._make_children(trace, arrived_s, ended_s), own):
            self._processor.on_end(span)

    def close(self) -> None:
        """Send what is left; blocks for some seconds where nobody takes it."""
        self._processor.shutdown()

    def _make_children(self, trace: Trace, arrived_s: float, ended_s: float) -> Iterator[ReadableSpan]:
        if trace.is_queued and not trace.calls:
            yield self._make("queue", (arrived_s, ended_s), parent_id=trace.span_id)
        for call in trace.calls:
            yield self._make("queue", (arrived_s, call.sent_s), parent_id=trace.span_id)
            yield from self._make_call(trace, call)

    def _make_call(self, trace: Trace, call: CallTimes) -> Iterator[ReadableSpan]:
        transport_id = make_span_id()
        sizes = {"millrace.batch_rows": call.batch_rows, "millrace.batch_requests": call.batch_requests}
        yield self._make(
            "transport",
            (call.sent_s, call.answered_s),
            span_id=transport_id,
            parent_id=trace.span_id,
            kind=SpanKind.CLIENT,
            attributes=sizes,
            first_s=call.first_s,
        )
        if call.worker is not None:
            times_s = call.worker.started_s, call.worker.ended_s
            worker = sizes | {"process.pid": call.worker.process}
            yield self._make("compute", times_s, parent_id=transport_id, attributes=worker)

    def _make(
        self,
        name: str,
        times_s: tuple[float, float],
        *,
        parent_id: int,
        span_id: int | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, Any] | None = None,
        status: Status | None = None,
        first_s: float | None = None,
    ) -> ReadableSpan:
        """Make a span of times in time.monotonic()'s seconds, with an event when the first bit of an answer came."""
        start_ns, end_ns = (self._zero_ns + round(1e9 * seconds) for seconds in times_s)
        events = [] if first_s is None else [Event("first token", timestamp=self._zero_ns + round(1e9 * first_s))]
        return ReadableSpan(
            name,
            self._in_trace(span_id or make_span_id()),
            parent=self._in_trace(parent_id) if parent_id else None,
            events=events,
            resource=self._resource,
            attributes=attributes,
            kind=kind,
            status=status or Status(),
            start_time=start_ns,
            end_time=end_ns,
            instrumentation_scope=self._scope,
        )


def make_tracing(endpoint: str, share: float) -> Tracing:
    """Make what sends to a collector by OTLP over HTTP; OTEL_EXPORTER_OTLP_HEADERS has what it asks of senders."""
    logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)  # it warns of each caller's bad `tracestate`
    return Tracing(share, OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces"))
