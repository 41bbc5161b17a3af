"""Traces: which requests are traced, what their spans say, and where the ids show up."""

import asyncio
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from handlers.base import Outputs
from services.catalogue import Catalogue
from services.gateway import access_log
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.errors import InternalError
from services.gateway.metrics_page import MetricsPage
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from services.gateway.trace import begin_trace
from services.gateway.tracing import Tracing
from tests.services.gateway.conftest import WorkerBackend

TRACE_ID, PARENT_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
SAMPLED = f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-01"
COMPUTE_S = 0.002


class Doubling:
    """A handler that takes its time, and no parameters of the gateway's."""

    manifest = {"model": "double", "release": 3, "variant": "eager"}  # noqa: RUF012

    def infer(self, inputs, parameters, requested):
        assert not parameters
        time.sleep(COMPUTE_S)
        return Outputs({"y": 2 * inputs["x"]})


class SlowBackend(WorkerBackend):
    """The same on its way for a while, and failing as a test wants."""

    def __init__(self):
        super().__init__(Doubling())
        self.failures = []

    async def predict(self, variant, request):
        await asyncio.sleep(0.001)
        if self.failures:
            raise self.failures.pop()
        return await super().predict(variant, request)


@pytest.fixture
async def engine():
    return SlowBackend()


@pytest.fixture
async def gateway(variant, engine, monkeypatch):
    monkeypatch.setattr("services.gateway.journal._make_tracing", lambda settings: Tracing(0, InMemorySpanExporter()))
    return Gateway(Catalogue([variant]), engine, GatewaySettings(trace_endpoint="http://nowhere", access_log=True))


def make_request(traceparent="", num_rows=1):
    tensor = NamedTensor("x", "FP32", (num_rows, 2), np.ones((num_rows, 2), np.float32).tobytes())
    caller = KnownCaller("here:1", {"traceparent": traceparent} if traceparent else {})
    return InferRequest("double", "", "me", [tensor], protocol="grpc", caller=caller)


def spans_of(gateway):
    processor = gateway.journal._tracing._processor
    processor.force_flush()
    return processor.span_exporter.get_finished_spans()


@pytest.mark.parametrize(
    ("traceparent", "trace_id", "is_sampled"),
    [
        (SAMPLED, TRACE_ID, True),
        (SAMPLED[:-1] + "0", TRACE_ID, False),
        ("01" + SAMPLED[2:] + "-more", TRACE_ID, True),  # a later version may bring more
    ],
)
def test_continues_the_callers_trace(traceparent, trace_id, is_sampled):
    trace = begin_trace(traceparent, 0)
    assert (trace.trace_id, trace.parent_id, trace.is_sampled) == (trace_id, PARENT_ID, is_sampled)
    assert trace.span_id not in (0, PARENT_ID)


@pytest.mark.parametrize(
    "traceparent", [None, "", "nonsense", "ff" + SAMPLED[2:], SAMPLED.upper(), f"00-{0:032x}-{1:016x}-01", SAMPLED[:-3]]
)
def test_begins_a_trace_for_a_share_of_the_rest(traceparent):
    random.seed(1)
    assert begin_trace(traceparent, 0) is None
    traces = [begin_trace(traceparent, 0.1) for _ in range(1000)]
    begun = [trace for trace in traces if trace is not None]
    assert 70 < len(begun) < 130
    assert {(trace.parent_id, trace.is_sampled) for trace in begun} == {(0, True)}
    assert len({trace.trace_id for trace in begun}) == len(begun)


async def test_spans_nest_and_tell_queue_transport_and_the_workers_time(gateway):
    before_ns = time.time_ns()
    await asyncio.gather(gateway.infer(make_request(SAMPLED)), gateway.infer(make_request(num_rows=2)))
    queue, transport, compute, own = spans_of(gateway)
    assert [span.name for span in (queue, transport, compute, own)] == ["queue", "transport", "compute", "infer double"]
    assert {span.context.trace_id for span in (queue, transport, compute, own)} == {TRACE_ID}
    assert own.parent.span_id == PARENT_ID
    assert {queue.parent.span_id, transport.parent.span_id} == {own.context.span_id}
    assert compute.parent.span_id == transport.context.span_id
    starts = [before_ns - 1e6, own.start_time, transport.start_time, compute.start_time]
    ends = [compute.end_time, transport.end_time, own.end_time, time.time_ns() + 1e6]
    assert starts + ends == sorted(starts + ends)
    assert (queue.start_time, queue.end_time) == (own.start_time, transport.start_time)
    assert compute.end_time - compute.start_time >= COMPUTE_S * 1e9
    attributes = dict(own.attributes)
    assert (attributes["millrace.version"], attributes["millrace.rows"], attributes["millrace.outcome"]) == (
        "3-eager",
        1,
        "ok",
    )
    assert dict(transport.attributes) == {"millrace.batch_rows": 3, "millrace.batch_requests": 2}


async def test_a_split_request_has_a_span_for_each_call_and_a_failure_is_an_error(gateway, engine):
    await gateway.infer(make_request(SAMPLED, num_rows=10))  # 4 + 4 + 2
    assert [span.name for span in spans_of(gateway)].count("compute") == 3
    engine.failures = [InternalError("it broke")]
    with pytest.raises(InternalError):
        await gateway.infer(make_request(SAMPLED))
    *others, own = spans_of(gateway)
    assert [span.name for span in others[-2:]] == ["queue", "transport"]  # the call failed, the request did not wait
    assert (own.status.status_code.name, own.attributes["millrace.outcome"]) == ("ERROR", "internal")


async def test_a_failed_call_is_logged_with_the_traces_of_its_requests(gateway, engine, monkeypatch):
    lines = []
    monkeypatch.setattr("services.gateway.batching.logger.error", lambda event, **fields: lines.append(fields))
    engine.failures = [InternalError("it broke", cause="a bug")]
    with pytest.raises(InternalError):
        await gateway.infer(make_request(SAMPLED))
    traces = [f"{TRACE_ID:032x}"]
    assert lines == [{"variant": "double 3-eager", "requests": ["me"], "traces": traces, "error": "a bug"}]


async def test_untraced_requests_send_nothing_and_ask_the_worker_nothing(gateway):
    for traceparent in ("", SAMPLED[:-1] + "0"):
        await gateway.infer(make_request(traceparent))
    assert spans_of(gateway) == ()


async def test_logs_and_exemplars_name_the_trace(gateway, monkeypatch):
    lines = []
    monkeypatch.setattr(access_log.logger, "info", lambda event, **fields: lines.append(fields), raising=False)
    await gateway.infer(make_request(SAMPLED))
    await gateway.infer(make_request(SAMPLED[:-1] + "0"))
    await gateway.infer(make_request())
    assert [line.get("trace_id") for line in lines] == [f"{TRACE_ID:032x}", f"{TRACE_ID:032x}", None]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(MetricsPage(gateway.metrics.collect)), base_url="http://here"
    ) as client:
        openmetrics = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        plain = await client.get("/metrics")
    (line,) = [line for line in openmetrics.text.splitlines() if "# {" in line]
    assert line.startswith("millrace_request_seconds_bucket")
    assert f'trace_id="{TRACE_ID:032x}"' in line
    assert f"{TRACE_ID:032x}" not in plain.text


async def test_a_collector_receives_spans_of_a_rest_call_by_otlp(variant, engine):
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = GatewaySettings(trace_endpoint=f"http://127.0.0.1:{server.server_port}/")
        gateway = Gateway(Catalogue([variant]), engine, settings)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(gateway)), base_url="http://here") as http:
            body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
            answer = await http.post(
                "/v2/models/double/infer", content=json.dumps(body), headers={"traceparent": SAMPLED}
            )
        assert answer.status_code == 200
        await gateway.close()
        server.shutdown()
        thread.join()
    ((path, export),) = received
    assert path == "/v1/traces"
    (resource,) = export.resource_spans
    assert {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"] == "millrace"
    names = {span.name: int.from_bytes(span.trace_id, "big") for span in resource.scope_spans[0].spans}
    assert names == dict.fromkeys(["queue", "transport", "compute", "infer double"], TRACE_ID)
