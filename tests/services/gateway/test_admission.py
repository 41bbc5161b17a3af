import asyncio
import math
from dataclasses import dataclass
from random import Random
from time import monotonic

import pytest

from services.catalogue import Catalogue
from services.gateway.admission import Admission, CallerLimit, Held
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.errors import DeadlineError, OverloadedError
from services.gateway.grpc_errors import make_call_error
from services.gateway.rest_errors import make_error_response
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest
from services.grpc_server import CallContext
from services.grpc_server.status import GrpcStatus
from tests.services.gateway.test_core import make_request


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def admission(clock):
    """Of a version whose batches of 10 rows take 20 ms and of 1 row 11 ms, on two workers."""
    admission = Admission("double 3-eager", max_rows=10, num_slots=2, max_wait_s=0.1, max_waiting_rows=500, now=clock)
    for num_rows, seconds in [(10, 0.020), (1, 0.011)] * 5:
        run(admission, clock, num_rows, seconds)
    return admission


def run(admission, clock, num_rows, seconds):
    started_s = clock.now_s
    clock.now_s += seconds
    admission.observe(num_rows, started_s)
    clock.now_s += 1  # idle


@dataclass
class Rows:
    """Rows that wait, and those of them that would go before the request in question."""

    waiting_rows: int
    num_calls: int
    before: int | None = None
    is_little: bool = False

    def is_below_share(self, request, num_rows, max_rows):
        return self.is_little

    def count_rows_before(self, request, num_rows):
        return self.waiting_rows if self.before is None else self.before


def request(deadline_s=math.inf, peer="10.0.0.1:99"):
    return InferRequest("double", "", "id", [], deadline_s=deadline_s, caller=KnownCaller(peer, {}))


def test_a_batch_that_waited_at_a_busy_worker_counts_from_when_it_ran(clock):
    admission = Admission("m", max_rows=4, num_slots=1, max_wait_s=1, max_waiting_rows=500, now=clock)
    for started_s, end_s in ((100.0, 100.1), (100.0, 100.2), (100.1, 100.3)):
        clock.now_s = end_s
        admission.observe(4, started_s)
    assert admission.predict_s(4, 0, 0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("waiting_rows", "num_calls", "seconds"),
    [(0, 1, 0.011), (0, 2, 0.020), (30, 2, 0.050), (30, 4, 0.070), (100, 4, 0.140)],
)
def test_predicts_the_wait_from_what_is_before_a_request(admission, waiting_rows, num_calls, seconds):
    assert admission.predict_s(1, waiting_rows, num_calls) == pytest.approx(seconds, rel=0.05)


def test_refuses_what_would_miss_its_deadline_and_says_when_to_try_again(admission, clock):
    admission.check(request(clock.now_s + 0.06), 1, Rows(30, 2))
    with pytest.raises(OverloadedError, match=r"expected in 50 ms, its deadline is 30 ms") as caught:
        admission.check(request(clock.now_s + 0.03), 1, Rows(30, 2))
    assert caught.value.retry_after_s == pytest.approx(0.02, rel=0.1)


def test_without_a_deadline_the_servers_bound_holds(admission):
    admission.check(request(), 1, Rows(60, 4))
    with pytest.raises(OverloadedError, match="without a deadline a request waits at most 100 ms"):
        admission.check(request(), 1, Rows(100, 4))


def test_refuses_sooner_where_answers_have_come_later_than_expected(admission, clock):
    admission.check(request(), 1, Rows(60, 4))  # expected in 100 ms
    for _ in range(4):
        clock.now_s += 1
        admission.observe(10, clock.now_s - 0.02, [(0.09, 0.12)])
    with pytest.raises(OverloadedError, match=r"expected in 20\d ms, without a deadline"):
        admission.check(request(), 1, Rows(60, 4))


async def test_what_expires_in_the_queue_counts_as_late(variant, backend):
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings())
    admission = gateway._models["double", "3-eager"].admission
    backend.gate.clear()
    first = asyncio.ensure_future(gateway.infer(make_request(1)))
    while not backend.batches:
        await asyncio.sleep(0)
    admission.observe(1, monotonic() - 0.001)
    with pytest.raises(DeadlineError):
        await gateway.infer(make_request(2, deadline_s=monotonic() + 0.02))
    backend.gate.set()
    await first
    assert admission._promises.factor == pytest.approx(math.exp(0.2 * 0.9))


def test_one_that_finds_an_idle_worker_passes_whatever_was_measured(admission, clock):
    run(admission, clock, 1, 60.0)
    admission.check(request(clock.now_s + 0.001), 1, Rows(0, 1))


def test_what_waits_behind_a_request_does_not_count_against_it(admission):
    admission.check(request(), 1, Rows(100, 4, before=60))
    with pytest.raises(OverloadedError, match="70 rows of double 3-eager are waiting before it"):
        admission.check(request(), 1, Rows(100, 4, before=70))


def test_a_full_queue_takes_a_callers_part_of_it_whoever_filled_it(admission):
    admission.check(request(math.inf), 4, Rows(496, 4, before=0))
    with pytest.raises(OverloadedError, match="498 rows of double 3-eager are waiting, at most 500 may"):
        admission.check(request(math.inf), 4, Rows(498, 4, before=0))
    admission.check(request(math.inf), 4, Rows(498, 4, before=0, is_little=True))


def test_a_caller_has_a_share_whatever_its_connections():
    limit = CallerLimit(2)
    with limit.hold(request(peer="10.0.0.1:1")), limit.hold(request(peer="10.0.0.1:2")):
        with pytest.raises(OverloadedError, match="2 requests of yours"), limit.hold(request(peer="10.0.0.1:3")):
            pass
        with limit.hold(request(peer="10.0.0.2:1")), limit.hold(request(peer="")):
            pass
    with limit.hold(request(peer="10.0.0.1:3")):
        pass


async def test_the_gateway_refuses_at_once_what_would_be_late(variant, backend):
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings(max_wait_ms=2000))
    gateway._models["double", "3-eager"].admission.observe(4, monotonic() - 1)  # a full batch takes a second
    backend.gate.clear()
    waiting = []
    for _ in range(2):
        waiting.append(asyncio.ensure_future(gateway.infer(make_request(1, 2, 3, 4))))
        while len(backend.batches) < len(waiting):
            await asyncio.sleep(0)
    with pytest.raises(OverloadedError, match="waits at most 2000 ms"):
        await gateway.infer(make_request(1))
    backend.gate.set()
    await asyncio.gather(*waiting)


def test_both_protocols_say_when_to_try_again():
    error = OverloadedError("too much", retry_after_s=0.24)
    assert make_error_response(error, "id").headers["retry-after"] == "1"
    context = CallContext("10.0.0.1:9", [], {}, lambda: "id")
    assert make_call_error(error, context).status == GrpcStatus.RESOURCE_EXHAUSTED
    assert context.trailing_metadata == [(b"grpc-retry-pushback-ms", b"240")]


def test_what_is_certified_is_known_before_the_first_batch(clock):
    certified = [(1, 0.011), (10, 0.020)]
    admission = Admission(
        "m", max_rows=10, num_slots=1, max_wait_s=0.05, max_waiting_rows=99, certified=certified, now=clock
    )
    assert admission.predict_s(1, 0, 0) == pytest.approx(0.011, rel=0.05)
    assert admission.predict_s(10, 30, 1) == pytest.approx(4.5 * 0.020, rel=0.05)
    for _ in range(100):  # what is measured here counts more than what was certified
        run(admission, clock, 10, 0.2)
    assert admission.predict_s(10, 0, 0) == pytest.approx(0.2, rel=0.05)


def test_a_session_on_the_only_worker_counts_as_what_is_before_a_request(clock):
    admission = Admission("m", max_rows=10, num_slots=1, max_wait_s=0.1, max_waiting_rows=500, now=clock)
    run(admission, clock, 10, 0.02)
    admission.check(request(), 1, Rows(0, 0), Held(1, 0.05))
    with pytest.raises(OverloadedError, match="expected in 220 ms, without a deadline") as caught:
        admission.check(request(), 1, Rows(0, 0), Held(1, 0.2))
    assert caught.value.retry_after_s == pytest.approx(0.12)


def test_a_session_leaves_the_other_workers_to_requests(admission):
    admission.check(request(), 1, Rows(0, 0), Held(1, 9.0))
    assert admission.predict_s(1, 0, 1, Held(1, 9.0)) == pytest.approx(0.5 * 0.02 + 0.02, rel=0.05)


def test_a_batch_that_waited_for_a_session_counts_from_when_that_ended(clock):
    admission = Admission("m", max_rows=4, num_slots=1, max_wait_s=1, max_waiting_rows=500, now=clock)
    started_s = clock.now_s
    clock.now_s += 3
    admission.note_free()
    clock.now_s += 0.1
    admission.observe(4, started_s)
    assert admission.predict_s(4, 0, 0) == pytest.approx(0.1)


@pytest.mark.parametrize("seed", range(20))
def test_hiccups_of_small_batches_refuse_nobody_who_would_be_in_time(clock, seed):
    """Virtual time: a batch takes 5 ms and 0.2 ms a row, every tenth 300 ms more."""
    random = Random(seed)
    admission = Admission("m", max_rows=64, num_slots=1, max_wait_s=1.0, max_waiting_rows=500, now=clock)
    for index in range(60):
        num_rows = 2 if random.random() < 0.1 else 1
        run(admission, clock, num_rows, 0.005 + 0.0002 * num_rows + 0.3 * (index % 10 == 9))
    admission.check(request(), 1, Rows(40, 1))


def test_learns_that_larger_batches_take_long_as_soon_as_they_do(clock):
    admission = Admission("m", max_rows=64, num_slots=1, max_wait_s=1.0, max_waiting_rows=500, now=clock)
    for _ in range(60):
        run(admission, clock, 1, 0.05)
    admission.check(request(), 1, Rows(100, 1))
    for _ in range(2):
        run(admission, clock, 64, 1.0)
    with pytest.raises(OverloadedError, match="100 rows of m are waiting"):
        admission.check(request(), 1, Rows(100, 1))
