import asyncio
import itertools
import time
from contextlib import aclosing

import numpy as np
import pytest

from model_store.open_inference import messages
from model_store.session_records import LINGERS, Kind, Record, RecordReader, encode_record
from model_store.tensors import encode_raw
from services.gateway.caller import NOBODY, KnownCaller
from services.gateway.errors import DeadlineError, InternalError, InvalidRequestError, NotReadyError, OverloadedError
from services.gateway.metrics import Metrics
from services.gateway.numbers import count_up
from services.gateway.streams import Streams
from services.gateway.tensors import InferRequest, NamedTensor

WORKER = 77


class Session:
    """The worker's end of one call, in the hands of a test."""

    def __init__(self, joined, take):
        self.joined, self.take = joined, take
        self.ended = asyncio.get_running_loop().create_future()

    def say(self, *records):
        self.take(b"".join(map(encode_record, records)))

    def open(self, payload=b""):
        self.say(Record(WORKER, Kind.OPENED, payload))

    def end(self):
        self.ended.set_result(None)


class SessionBackend:
    """An engine that only holds sessions."""

    def __init__(self):
        self.sessions = []
        self.told = []
        self.messages = []
        self.workers = frozenset()  # none is known to be ready

    async def converse(self, variant, request, take):
        session = Session([record.key for record in RecordReader().feed(request)], take)
        self.sessions.append(session)
        await session.ended

    def ready_workers(self, variant):
        return self.workers

    def tell(self, variant, message, worker=None):
        self.messages.append(message)
        self.told += [(record.kind, record.key, worker) for record in RecordReader().feed(message)]


@pytest.fixture
async def backend():
    return SessionBackend()


@pytest.fixture
async def calls():
    """How many other calls the workers have."""
    return [0]


@pytest.fixture
async def streams(variant, backend, calls, monkeypatch):
    monkeypatch.setattr("services.gateway.streams.count_up", lambda: itertools.count(1))
    return Streams(
        variant, backend, Metrics(), num_workers=1, max_wait_s=10, max_waiting=8, count_calls=lambda: calls[0]
    )


def make_request(timeout_s=60.0, caller=NOBODY, text=b"hello"):
    row = NamedTensor("text", "BYTES", (1,), encode_raw(np.array([text], np.object_)))
    return InferRequest("double", "", "id", [row], deadline_s=time.monotonic() + timeout_s, caller=caller)


def make_bit(key, text, kind=Kind.PART):
    response = messages().ModelInferResponse()
    response.outputs.add(name="label", datatype="BYTES", shape=[1])
    response.raw_output_contents.append(encode_raw(np.array([text], np.object_)))
    return Record(key, kind, response.SerializeToString(), 1)


class Caller:
    """Opens a stream and keeps what it hears."""

    def __init__(self, streams, **how):
        self.heard = []
        self.task = asyncio.create_task(self.listen(streams, **how))

    async def listen(self, streams, **how):
        request = make_request(**how)
        streams.admit(request)
        async with aclosing(streams.answer(request, time.monotonic())) as bits:
            async for bit in bits:
                self.heard.append((bytes(bit.outputs[0].data[4:]), bit.is_last))


async def turn():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_streams_that_come_together_begin_together(streams, backend):
    callers = [Caller(streams) for _ in range(3)]
    await turn()
    (session,) = backend.sessions
    assert len(session.joined) == 3
    session.open()
    session.say(*(make_bit(key, b"a") for key in session.joined))
    session.say(*(make_bit(key, b"b", Kind.LAST) for key in session.joined))
    await asyncio.gather(*(caller.task for caller in callers))
    assert [caller.heard for caller in callers] == [[(b"a", False), (b"b", True)]] * 3
    assert streams.count() == 0


async def test_a_stream_joins_a_session_that_runs_and_waits_for_one_that_is_on_its_way(streams, backend):
    Caller(streams)
    await turn()
    Caller(streams)
    await turn()
    assert backend.told == []
    (session,) = backend.sessions
    session.open()
    assert backend.told == [(Kind.JOIN, 2, WORKER)]
    Caller(streams)
    await turn()
    assert backend.told[1:] == [(Kind.JOIN, 3, WORKER)]
    assert len(backend.sessions) == 1


@pytest.mark.parametrize(("num_bytes", "num_messages"), [(5, 1), (2**15, 3)])
async def test_who_joins_together_is_told_in_as_few_messages_as_a_socket_takes(
    streams, backend, num_bytes, num_messages
):
    Caller(streams)
    await turn()
    backend.sessions[0].open()
    for _ in range(3):
        Caller(streams, text=b"a" * num_bytes)
    await turn()
    assert len(backend.told) == 3
    assert len(backend.messages) == num_messages


@pytest.mark.parametrize("opened_by", [WORKER, WORKER + 1])
async def test_who_joins_a_session_on_its_way_is_told_to_the_only_worker_at_once(streams, backend, opened_by):
    backend.workers = frozenset([WORKER])
    Caller(streams)
    await turn()
    Caller(streams)
    await turn()
    assert backend.told == [(Kind.JOIN, 2, WORKER)]
    backend.sessions[0].say(Record(opened_by, Kind.OPENED))
    # A worker that was started meanwhile has heard nothing.
    assert backend.told[1:] == ([] if opened_by == WORKER else [(Kind.JOIN, 2, opened_by)])


async def test_a_session_on_its_way_behind_other_calls_is_told_nothing(streams, backend, calls):
    backend.workers, calls[0] = frozenset([WORKER]), 1
    Caller(streams)
    await turn()
    calls[0] = 0
    Caller(streams)
    await turn()
    assert backend.told == []


async def test_a_session_that_lingers_is_closed_when_another_call_comes(streams, backend):
    Caller(streams)
    await turn()
    (session,) = backend.sessions
    session.open(LINGERS)
    session.say(make_bit(1, b"a", Kind.LAST))
    Caller(streams)
    await turn()
    assert backend.told == [(Kind.JOIN, 2, WORKER)]
    streams.make_way()
    streams.make_way()
    assert backend.told[1:] == [(Kind.CLOSE, 0, WORKER)]
    Caller(streams)
    await turn()
    assert len(backend.told) == 2  # nobody joins any more
    session.say(make_bit(2, b"a", Kind.LAST))
    session.end()
    await turn()
    assert backend.sessions[1].joined == [3]


async def test_beside_other_gateways_a_session_takes_nobody_else_and_does_not_linger(variant, backend):
    limits = {"num_workers": 1, "max_wait_s": 10, "max_waiting": 8}
    streams = Streams(variant, backend, Metrics(), count_calls=lambda: 0, is_alone=False, **limits)
    caller = Caller(streams)
    await turn()
    later = Caller(streams)
    await turn()
    (session,) = backend.sessions
    session.open(LINGERS)
    assert [kind for kind, _, _ in backend.told] == [Kind.CLOSE]
    for one in (caller, later):
        one.task.cancel()


async def test_beside_other_gateways_a_worker_is_told_who_has_left_when_the_session_has_reached_it(variant, backend):
    limits = {"num_workers": 1, "max_wait_s": 10, "max_waiting": 8}
    streams = Streams(variant, backend, Metrics(), count_calls=lambda: 0, is_alone=False, **limits)
    backend.workers = frozenset({WORKER})
    caller = Caller(streams)
    await turn()
    caller.task.cancel()
    await turn()
    assert backend.told == []  # it may be busy with another gateway's session, to which this would say nothing
    backend.sessions[0].open()
    assert [(kind, worker) for kind, _, worker in backend.told] == [(Kind.LEAVE, WORKER)]


async def test_a_session_of_an_older_worker_is_told_nothing_that_it_does_not_know(streams, backend):
    Caller(streams)
    await turn()
    streams.make_way()
    backend.sessions[0].open()
    assert backend.told == []


async def test_no_more_streams_share_a_session_than_rows_a_batch(streams, backend, variant):
    for _ in range(variant.manifest.max_rows + 2):
        Caller(streams)
    await turn()
    (session,) = backend.sessions
    session.open()
    assert len(session.joined) == variant.manifest.max_rows
    session.say(make_bit(session.joined[0], b"a", Kind.LAST))
    await turn()
    assert [kind for kind, _, _ in backend.told] == [Kind.JOIN]


async def test_a_session_takes_no_more_streams_while_other_calls_wait_for_its_worker(streams, backend, calls):
    Caller(streams)
    await turn()
    (session,) = backend.sessions
    session.open()
    calls[0] = 1
    Caller(streams)
    await turn()
    assert backend.told == []
    session.say(make_bit(1, b"a", Kind.LAST))
    session.end()
    await turn()
    assert [session.joined for session in backend.sessions] == [[1], [2]]


async def test_who_leaves_is_told_to_the_worker(streams, backend):
    caller, waiting = Caller(streams), Caller(streams)
    await turn()
    backend.sessions[0].open()
    caller.task.cancel()
    await turn()
    assert backend.told == [(Kind.LEAVE, 1, WORKER)]
    assert streams.count() == 1
    waiting.task.cancel()


async def test_a_stream_that_a_session_has_missed_begins_in_the_next_one(streams, backend):
    first, second = Caller(streams), Caller(streams)
    await turn()
    backend.sessions[0].open()
    backend.sessions[0].say(make_bit(1, b"a", Kind.LAST))
    backend.sessions[0].end()
    await turn()
    assert (Kind.LEAVE, 2, WORKER) in backend.told  # lest it begin in both
    assert backend.sessions[1].joined == [3]
    backend.sessions[1].say(make_bit(3, b"b", Kind.LAST))
    await asyncio.gather(first.task, second.task)
    assert second.heard == [(b"b", True)]


async def test_a_session_that_fails_is_repeated_once_for_those_who_have_heard_nothing(streams, backend):
    heard, unheard = Caller(streams), Caller(streams)
    await turn()
    backend.sessions[0].open()
    backend.sessions[0].say(make_bit(1, b"a"))
    backend.sessions[0].ended.set_exception(NotReadyError("gone"))
    await turn()
    with pytest.raises(NotReadyError):
        await heard.task
    assert heard.heard == [(b"a", False)]
    backend.sessions[1].ended.set_exception(NotReadyError("gone"))
    with pytest.raises(NotReadyError):
        await unheard.task
    assert len(backend.sessions) == 2


async def test_one_stream_is_refused_or_fails_alone(streams, backend):
    refused, failed, good = Caller(streams), Caller(streams), Caller(streams)
    await turn()
    (session,) = backend.sessions
    session.open()
    session.say(
        Record(1, Kind.REFUSED, b"too long"), Record(2, Kind.FAILED, b"Traceback"), make_bit(3, b"a", Kind.LAST)
    )
    with pytest.raises(InvalidRequestError, match="too long"):
        await refused.task
    with pytest.raises(InternalError) as caught:
        await failed.task
    assert caught.value.cause == "Traceback"
    assert "Traceback" not in str(caught.value)
    await good.task


async def test_a_deadline_ends_a_stream_and_its_work(streams, backend):
    caller = Caller(streams, timeout_s=0.01)
    await turn()
    backend.sessions[0].open()
    with pytest.raises(DeadlineError):
        await caller.task
    assert backend.told == [(Kind.LEAVE, 1, WORKER)]


async def test_more_streams_than_may_wait_are_refused(streams, variant):
    callers = [Caller(streams) for _ in range(variant.manifest.max_rows)]
    await turn()
    callers += [Caller(streams) for _ in range(9)]
    with pytest.raises(OverloadedError, match="8 streams of double 3-eager are waiting"):
        await callers[-1].task
    for caller in callers:
        caller.task.cancel()


async def test_a_stream_that_cannot_begin_in_time_is_refused_at_once(streams, backend, variant):
    streams._admission.observe_end(2.0)  # an answer's time
    callers = [Caller(streams) for _ in range(variant.manifest.max_rows)]
    await turn()
    late, patient = Caller(streams, timeout_s=2.4), Caller(streams, timeout_s=2.6)
    await turn()
    with pytest.raises(OverloadedError, match="it is expected to begin in 500 ms and takes 2000 ms"):
        late.task.result()
    assert streams.count() == len(callers) + 1
    for caller in (*callers, patient):
        caller.task.cancel()


async def test_a_caller_who_comes_to_a_flood_has_the_next_place(streams, backend, variant):
    flood, other = (KnownCaller(peer=f"{address}:50000") for address in ("10.0.0.1", "10.0.0.2"))
    callers = [Caller(streams, caller=flood) for _ in range(variant.manifest.max_rows + 3)]
    await turn()
    callers.append(Caller(streams, caller=other))
    await turn()
    (session,) = backend.sessions
    session.open()
    session.say(make_bit(1, b"a", Kind.LAST), make_bit(2, b"a", Kind.LAST))
    await turn()
    assert [key for kind, key, _ in backend.told if kind == Kind.JOIN] == [5, len(callers)]
    for caller in callers:
        caller.task.cancel()


def test_processes_do_not_number_streams_alike():
    numbers = [next(count_up()) for _ in range(100)]
    assert len(set(numbers)) == 100
    assert all(0 < number < 2**63 for number in numbers)
