"""A version whose golden rows take far longer than they should is slow until they do not any more."""

import asyncio
from dataclasses import replace

import pytest

from model_store.signing import Keyring
from model_store.store import Store
from services.catalogue import Catalogue
from services.example_requests import build_golden_requests
from services.gateway.core import Gateway
from services.gateway.errors import OverloadedError
from services.gateway.grpc_messages import decode_request
from services.gateway.settings import GatewaySettings
from services.gateway.slowness import ASK_AGAIN_S, HOLD_S, LOOK_S, NUM_CALLS, Slowness, Work
from tests import builders
from tests.services.gateway.conftest import Clock, DoublingBackend, make_manifest, make_variant


class Server:
    """What a watch sees of a server: golden rows that take `golden_s`, and batches that tests count."""

    def __init__(self, variant):
        self.clock = Clock()
        self.variants = [variant]
        self.golden_s = 0.02
        self.work = Work(0, 0, 0.0)
        self.asked = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.queue_s = 1e-6
        self.slowness = Slowness(4, self.infer, lambda: self.variants, lambda variant: self.work, self.clock)

    async def infer(self, request):
        self.asked.append(request)
        request.queue_s = self.queue_s
        await self.answers.wait()
        if self.golden_s is None:
            raise OverloadedError("full")
        request.compute_s = self.golden_s

    def answer_batches(self, number, seconds):
        self.work = Work(1, self.work.num_answered + number, self.work.busy_s + number * seconds)

    async def pass_time(self, seconds):
        for _ in range(round(seconds / LOOK_S)):
            self.clock.now_s += LOOK_S
            await self.slowness.look()
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def server(variant):
    server = Server(variant)
    await server.slowness.look()
    return server


async def test_golden_rows_are_timed_once_and_not_asked_for_while_batches_take_what_is_usual(server):
    assert len(server.asked) == NUM_CALLS
    assert all(request.protocol == "self" and request.outputs == ("y", "label") for request in server.asked)
    for _ in range(50):
        server.answer_batches(4, 0.03)
        await server.pass_time(LOOK_S)
    assert len(server.asked) == NUM_CALLS
    assert not server.slowness.is_slow


async def test_outputs_that_nobody_gets_unasked_are_not_timed(tmp_path):
    server = Server(make_variant(make_manifest(default_outputs=("y",)), tmp_path))
    await server.slowness.look()
    assert {request.outputs for request in server.asked} == {("y",)}


async def test_a_batch_that_does_not_end_and_golden_rows_that_take_long_show_a_slow_server(server):
    server.golden_s = 1.0
    server.work = Work(1, 0, 0.0)
    await server.pass_time(0.6)
    assert server.slowness.is_slow


async def test_a_call_under_way_for_too_long_is_enough(server):
    server.answers.clear()
    server.work = Work(1, 0, 0.0)
    await server.pass_time(0.4)
    assert not server.slowness.is_slow
    await server.pass_time(0.3)
    assert server.slowness.is_slow
    server.answers.set()


async def test_golden_rows_that_wait_for_a_worker_prove_nothing_yet(server):
    server.work = Work(1, 0, 0.0)
    await server.pass_time(0.4)  # answered once, and not late
    server.queue_s = 0.0
    server.answers.clear()
    await server.pass_time(3)
    assert len(server.asked) == NUM_CALLS + 2
    assert not server.slowness.is_slow
    server.answers.set()


async def test_larger_requests_are_no_slow_server(server):
    for _ in range(30):
        server.answer_batches(1, 0.5)
        await server.pass_time(LOOK_S)
    assert not server.slowness.is_slow
    assert len(server.asked) == NUM_CALLS + 1  # then their time is what is usual


async def test_a_slow_server_is_asked_each_second_and_believed_after_a_while(server):
    server.golden_s = 1.0
    server.work = Work(1, 0, 0.0)
    await server.pass_time(0.6)
    server.work = Work(0, 0, 0.0)
    server.golden_s = 0.03
    asked = len(server.asked)
    await server.pass_time(HOLD_S - 1)
    assert server.slowness.is_slow
    assert len(server.asked) - asked in (HOLD_S // ASK_AGAIN_S - 2, HOLD_S // ASK_AGAIN_S - 1)
    await server.pass_time(2.5)
    assert not server.slowness.is_slow


async def test_golden_rows_that_get_no_answer_prove_nothing(server):
    server.golden_s = None
    server.work = Work(1, 0, 0.0)
    await server.pass_time(3)
    assert len(server.asked) == NUM_CALLS + 3
    assert not server.slowness.is_slow


async def test_a_server_that_was_slow_from_the_start_is_known_by_its_certificate(variant, tmp_path):
    release = builders.publish_release(Store(tmp_path / "store", Keyring(tmp_path / "keys")))
    server = Server(replace(variant, certificate=builders.make_certificate(release)))  # a row in 2 ms
    server.golden_s = 1.0
    await server.slowness.look()
    assert server.asked == []
    server.answer_batches(1, 1.0)
    await server.pass_time(0.5)
    assert server.slowness.is_slow


async def test_what_was_known_of_a_version_goes_with_it(server):
    server.golden_s = 1.0
    server.work = Work(1, 0, 0.0)
    await server.pass_time(0.6)
    server.variants = []
    await server.pass_time(LOOK_S)
    assert not server.slowness.is_slow


async def test_a_slow_server_is_ready_and_wants_no_calls(variant):
    backend = DoublingBackend(workers=2)
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings(slow_factor=4))
    labels = {"model": variant.model, "version": variant.version}

    def gauge():
        return gateway.metrics.registry.get_sample_value("millrace_model_slow", labels)

    assert not gateway.wants_calls()
    await gateway.readiness.prove()
    assert gateway.wants_calls()
    await gateway.slowness.look()
    assert gauge() == 0
    backend.gate.clear()
    call = asyncio.create_task(gateway.infer(decode_request(build_golden_requests(variant)[0].request)))
    async with asyncio.timeout(5):
        while not gateway.slowness.is_slow:
            await asyncio.sleep(0.05)
            await gateway.slowness.look()
    assert (gateway.is_ready(), gateway.wants_calls(), gauge()) == (True, False, 1)
    backend.gate.set()
    await call


async def test_nobody_watches_unless_it_is_wanted(gateway):
    assert gateway.slowness is None
    await gateway.readiness.prove()
    assert gateway.wants_calls()
