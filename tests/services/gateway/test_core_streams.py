"""Streams through the core: refused, recorded and cached as other requests are."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from handlers.message import encode_times
from model_store.golden import GoldenAnswer
from model_store.interface import Tensor
from model_store.open_inference import WORKER_TIMES, messages
from model_store.session_records import Kind, Record, RecordReader, encode_record
from model_store.tensors import decode_raw, encode_raw
from services.catalogue import Catalogue
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.errors import InternalError, OverloadedError
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from services.gateway.tracing import Tracing
from services.replay import read_answer
from tests.services.gateway.conftest import make_manifest, make_variant
from tests.services.gateway.test_tracing import SAMPLED, TRACE_ID

INPUTS = (Tensor(name="text", datatype="BYTES", shape=(-1,), meaning="a text", max_element_bytes=8),)
OUTPUTS = (
    Tensor(name="label", datatype="BYTES", shape=(-1,), meaning="a name"),
    Tensor(name="score", datatype="FP32", shape=(-1,), meaning="how good"),
)
GOLDEN = [
    GoldenAnswer(inputs=("text",), output=output.name, expected=np.ones(1, np.float32), tolerance=0.0)
    for output in OUTPUTS
]
BITS = ({"label": b"gu"}, {"label": b"ten "}, {"label": b"Tag", "score": 0.5})


def make_bit(values):
    response = messages().ModelInferResponse()
    for name, value in values.items():
        datatype, kind = ("BYTES", np.object_) if isinstance(value, bytes) else ("FP32", np.float32)
        response.outputs.add(name=name, datatype=datatype, shape=[1])
        response.raw_output_contents.append(encode_raw(np.array([value], kind)))
    return response.SerializeToString()


class TellingBackend:
    """An engine whose sessions tell everybody the same."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.gate.set()
        self.num_streams = 0
        self.failure = None

    async def converse(self, variant, request, take):
        take(encode_record(Record(1, Kind.OPENED)))
        for record in RecordReader().feed(request):
            self.num_streams += 1
            wants_times = WORKER_TIMES in messages().ModelInferRequest.FromString(record.payload).parameters
            began_ns = time.monotonic_ns()
            await self.gate.wait()
            if self.failure is not None:
                take(encode_record(Record(record.key, Kind.FAILED, self.failure)))
                continue
            for bit in BITS:
                told = make_bit(bit)
                if wants_times and bit is BITS[-1]:
                    told += encode_times(began_ns, time.monotonic_ns())
                take(encode_record(Record(record.key, Kind.LAST if bit is BITS[-1] else Kind.PART, told, 1)))

    def tell(self, variant, message, worker=None):
        pass

    def ready_workers(self, variant):
        return frozenset([1])

    def num_slots(self, variant):
        return 1


@pytest.fixture
def make_gateway(tmp_path):
    def make(variants=("eager",), **settings):
        changes = {"inputs": INPUTS, "input_sets": (("text",),), "outputs": OUTPUTS, "parameters": ()}
        served = []
        for number, name in enumerate(variants):
            folder = tmp_path / name
            folder.mkdir()
            speed = {"rows": 8, "rows_per_s": 100.0 + number, "single_row_ms": 1.0, "threads": 1, "host": "here"}
            manifest = make_manifest(streams=True, variant=name, speed=speed, **changes)
            variant = make_variant(manifest, folder, *GOLDEN, release_digest="a1b2")
            served.append(replace(variant, is_default=number == 0))
        backend = TellingBackend()
        return Gateway(Catalogue(served), backend, GatewaySettings(**settings)), backend

    return make


def make_request(text=b"good day"):
    row = NamedTensor("text", "BYTES", (1,), encode_raw(np.array([text], np.object_)))
    return InferRequest("double", "", "r-1", [row], protocol="grpc")


async def listen(gateway, request):
    """What a stream tells: each bit's values by the names of their outputs."""
    return [
        {output.name: decode_raw(output.data, output.datatype, output.shape)[0] for output in answer.outputs}
        async for answer in gateway.stream(request)
    ]


async def test_a_streams_whole_answer_is_recorded(make_gateway, tmp_path):
    gateway, _ = make_gateway(record=1.0, record_folder=tmp_path / "records", record_key=tmp_path / "key")
    assert await listen(gateway, make_request()) == list(BITS)
    await gateway.close()
    record = gateway.settings.open_records().find("r-1")
    assert (record.version, record.release_digest) == ("3-eager", "a1b2")
    answer = read_answer(record)
    assert {name: values.tolist() for name, values in answer.items()} == {"label": [b"guten Tag"], "score": [0.5]}


async def test_an_equal_stream_is_answered_from_the_cache_in_one_bit(make_gateway):
    gateway, backend = make_gateway(cache_mib=1)
    assert await listen(gateway, make_request()) == list(BITS)
    for _ in range(2):
        assert await listen(gateway, make_request()) == [{"label": b"guten Tag", "score": 0.5}]
    assert await listen(gateway, make_request(b"bye")) == list(BITS)
    assert backend.num_streams == 2


async def overload(gateway, backend):
    """Give the first variant more streams of seconds than it takes at once; returns them."""
    await listen(gateway, make_request())
    gateway._models["double", "3-eager"].streams._admission.observe_end(9.0)
    backend.gate.clear()
    tasks = [asyncio.create_task(listen(gateway, make_request(b"%d" % number))) for number in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_a_faster_variant_answers_a_stream_that_would_be_refused_if_its_caller_says_so(make_gateway):
    gateway, backend = make_gateway(("eager", "int8"), max_wait_ms=1, cache_mib=1)
    await gateway.readiness.prove()
    tasks = await overload(gateway, backend)
    for request in (make_request(b"bye"), replace(make_request(b"bye"), version="3-eager", any_variant=True)):
        with pytest.raises(OverloadedError):
            await listen(gateway, request)
    backend.gate.set()
    versions = [answer.version async for answer in gateway.stream(replace(make_request(b"bye"), any_variant=True))]
    assert versions == ["3-int8"] * len(BITS)
    await asyncio.gather(*tasks)
    # What another variant said is not kept as an answer of the one that was asked.
    again = [answer.version async for answer in gateway.stream(make_request(b"bye"))]
    assert again == ["3-eager"] * len(BITS)


async def test_there_is_no_room_for_candidates_while_a_stream_has_the_only_worker(make_gateway):
    gateway, backend = make_gateway()
    assert gateway.has_room()
    tasks = await overload(gateway, backend)
    assert not gateway.has_room()
    backend.gate.set()
    await asyncio.gather(*tasks)
    assert gateway.has_room()


async def test_a_streams_whole_answer_is_offered_to_a_candidate(make_gateway):
    offered = []

    class Shadows:
        def offer(self, request, variant, answer):
            offered.append((variant.version, [decode_raw(o.data, o.datatype, o.shape)[0] for o in answer.outputs]))

    gateway, _ = make_gateway()
    gateway.answering.shadows = Shadows()
    await listen(gateway, make_request())
    assert offered == [("3-eager", [b"guten Tag", 0.5])]


async def test_a_stream_without_a_deadline_that_would_wait_for_too_long_is_refused_and_counted(make_gateway):
    gateway, backend = make_gateway(max_wait_ms=1)
    tasks = await overload(gateway, backend)
    with pytest.raises(OverloadedError, match="may wait for 1 ms without a deadline"):
        await listen(gateway, make_request())
    backend.gate.set()
    await asyncio.gather(*tasks)
    labels = {"model": "double", "version": "3-eager", "protocol": "grpc", "outcome": "overloaded"}
    assert gateway.metrics.registry.get_sample_value("millrace_requests_total", labels) == 1


async def test_other_requests_are_refused_while_a_stream_would_have_the_only_worker_for_too_long(make_gateway):
    gateway, backend = make_gateway(max_wait_ms=1)
    tasks = await overload(gateway, backend)
    streams = gateway._models["double", "3-eager"].streams
    (session,) = streams._sessions
    assert not session.is_closing
    with pytest.raises(OverloadedError, match="0 rows of double 3-eager are waiting before it: an answer is expected"):
        await gateway.infer(make_request())
    assert session.is_closing  # no stream follows, so that whoever asks again has a turn
    backend.gate.set()
    await asyncio.gather(*tasks)
    assert streams.count_held().num_workers == 0


@pytest.fixture
def make_traced(make_gateway, monkeypatch):
    """A gateway that traces whom its caller does, its engine, and a function that lists the spans that were made."""

    def make(**settings):
        exporter = InMemorySpanExporter()
        monkeypatch.setattr("services.gateway.journal._make_tracing", lambda settings: Tracing(0, exporter))
        gateway, backend = make_gateway(trace_endpoint="http://nowhere", **settings)

        def list_spans():
            gateway.journal._tracing._processor.force_flush()
            found = exporter.get_finished_spans()
            exporter.clear()
            return found

        return gateway, backend, list_spans

    return make


def make_traced_request(tracestate=""):
    request = make_request()
    request.caller = KnownCaller("here:1", {"traceparent": SAMPLED, "tracestate": tracestate})
    return request


async def listen_all(gateway, request):
    return [answer async for answer in gateway.stream(request)]


async def test_a_streams_spans_tell_queue_transport_the_workers_time_and_its_first_token(make_traced):
    gateway, backend, list_spans = make_traced()
    backend.gate.clear()
    streaming = asyncio.create_task(listen_all(gateway, make_traced_request()))
    await asyncio.sleep(0.03)
    backend.gate.set()
    await streaming
    queue, transport, compute, own = list_spans()
    assert [span.name for span in (queue, transport, compute, own)] == ["queue", "transport", "compute", "infer double"]
    assert compute.parent.span_id == transport.context.span_id
    times_ns = [own.start_time, queue.end_time, compute.start_time, compute.end_time, transport.end_time, own.end_time]
    assert times_ns == sorted(times_ns)
    assert (queue.start_time, queue.end_time) == (own.start_time, transport.start_time)
    assert queue.end_time - queue.start_time < 20e6 < compute.end_time - compute.start_time
    ((event, when_ns),) = [(event.name, event.timestamp) for event in transport.events]
    assert event == "first token"
    assert compute.start_time < when_ns <= transport.end_time


async def test_a_stream_whose_caller_leaves_still_tells_where_it_was(make_traced):
    gateway, backend, list_spans = make_traced()
    backend.gate.clear()
    streaming = asyncio.create_task(listen_all(gateway, make_traced_request()))
    await asyncio.sleep(0.03)
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert [span.name for span in list_spans()] == ["queue", "transport", "infer double"]
    backend.gate.set()
    await asyncio.sleep(0)


async def test_an_answer_that_was_kept_has_waited_in_no_queue(make_traced):
    gateway, _, list_spans = make_traced(cache_mib=1)
    found = []
    for _ in range(2):
        await listen_all(gateway, make_traced_request())
        spans = list_spans()
        found.append(([span.name for span in spans[:-1]], spans[-1].attributes["millrace.cached"]))
    assert found == [(["queue", "transport", "compute"], False), ([], True)]


async def test_a_failed_stream_is_logged_with_its_trace(make_traced, monkeypatch):
    gateway, backend, _ = make_traced()
    backend.failure = b"a bug"
    lines = []
    monkeypatch.setattr("services.gateway.streams.logger.error", lambda event, **fields: lines.append((event, fields)))
    with pytest.raises(InternalError):
        await listen_all(gateway, make_traced_request())
    assert lines == [
        (
            "a stream failed",
            {"variant": "double 3-eager", "requests": ["r-1"], "traces": [f"{TRACE_ID:032x}"], "error": "a bug"},
        )
    ]


@pytest.mark.parametrize(
    ("given", "passed"), [("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", None), ("", ""), ("no state", "")]
)
async def test_what_others_told_of_a_trace_is_passed_on(make_traced, given, passed):
    gateway, _, list_spans = make_traced()
    await listen_all(gateway, make_traced_request(tracestate=given))
    assert {span.context.trace_state.to_header() for span in list_spans()} == {given if passed is None else passed}
