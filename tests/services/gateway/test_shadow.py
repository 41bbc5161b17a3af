import asyncio

import numpy as np
import pytest

from model_store.golden import GoldenAnswer
from services.gateway import shadow
from services.gateway.errors import InternalError, NotReadyError
from services.gateway.live_gate import GateMetrics, choose_margin
from services.gateway.routing import RoutingError
from services.gateway.shadow import Copying, Shadows
from services.gateway.tensors import InferAnswer, InferRequest, NamedTensor
from tests.builders import make_manifest
from tests.services.gateway.conftest import make_variant

WAIT_S = 20


class World:
    """Candidates that answer y = factor · 2, an incumbent that answered y = 2, and room that a test gives."""

    def __init__(self, folder, backend):
        self.candidate = make_variant(make_manifest("double", 4, "int8"), folder)
        self.incumbent = make_variant(make_manifest("double", 3, "int8"), folder)
        self.room = True
        self.factor = 1.0
        self.asked, self.decisions = [], []
        self.error = None
        self.shadows = Shadows(self.infer, lambda: self.room, backend, self.decide)
        self.copy()

    def copy(self, share=1.0, **changes):
        fields = {"margin": 0.03, "promote": True, "yields": False} | changes
        copying = Copying(candidate=self.candidate, incumbent=self.incumbent, share=share, **fields)
        self.shadows.change([copying])

    async def infer(self, request):
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return answer_with(2 * self.factor, request.version)

    async def decide(self, copying, progress):
        self.decisions.append(progress)

    def offer(self, times=1):
        for _ in range(times):
            request = InferRequest("double", "", "r", [tensor("x", 1.0)], protocol="grpc", packed=b"as it came")
            self.shadows.offer(request, self.incumbent, answer_with(2.0, self.incumbent.version))

    def report(self):
        (progress,) = self.shadows.report()
        return progress

    async def run_until(self, condition):
        running = asyncio.create_task(self.shadows.run())
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    await asyncio.sleep(0.001)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def tensor(name, value):
    return NamedTensor(name, "FP32", (1, 2), np.full((1, 2), value, np.float32).tobytes())


def answer_with(value, version):
    return InferAnswer("double", version, "r", [tensor("y", value)])


@pytest.fixture
async def world(tmp_path, backend):
    return World(tmp_path, backend)


async def test_the_candidate_is_asked_what_was_answered_by_name_and_as_the_servers_own(world):
    world.offer()
    await world.run_until(lambda: world.report().num_requests == 1)
    (copy,) = world.asked
    assert (copy.version, copy.protocol, copy.packed, copy.may_cache) == ("4-int8", "self", None, False)
    assert world.report().change == 0


async def test_nothing_is_asked_while_somebody_might_wait(world):
    world.room = False
    world.offer(3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.run_until(lambda: world.asked), 0.1)
    world.room = True
    await world.run_until(lambda: len(world.asked) == 3)


async def test_a_rule_that_changes_while_there_is_no_room_does_not_end_the_copying(world, monkeypatch):
    monkeypatch.setattr(shadow, "LOOK_FOR_ROOM_S", 0.001)
    world.room = False
    world.offer()
    running = asyncio.create_task(world.shadows.run())
    await asyncio.sleep(0.02)
    world.copy(margin=0.5)  # what waits was chosen by another rule
    world.room = True
    await asyncio.sleep(0.02)
    assert not running.done()
    running.cancel()
    world.offer()
    await world.run_until(lambda: world.asked)


async def test_what_finds_no_room_is_left_out_and_counted(world, monkeypatch):
    monkeypatch.setattr(shadow, "MOST_WAITING", 2)
    world.offer(5)
    assert world.report().num_skipped == 3
    await world.run_until(lambda: world.report().num_requests == 2)


async def test_a_share_of_the_requests_is_copied(world):
    world.copy(share=0.1)
    for _ in range(20):
        world.offer(100)
        world.shadows._pairs.clear()
        world.shadows._num_bytes = 0
    world.copy(share=1e-9, margin=0.5)
    world.offer(10)
    assert not world.shadows._pairs


async def test_only_answers_of_the_version_that_would_be_replaced_count(world):
    request = InferRequest("double", "2", "r", [tensor("x", 1.0)])
    world.shadows.offer(request, world.candidate, answer_with(2.0, "4-int8"))
    assert not world.shadows._pairs


@pytest.mark.parametrize(("factor", "outcome", "change"), [(1.0, "pass", 0), (1.5, "fail", 0.5)])
async def test_the_outcome_is_given_once_and_ends_the_copying(world, factor, outcome, change):
    world.factor = factor
    for _ in range(2):
        world.offer(200)
        await world.run_until(lambda: not world.shadows._pairs)
    assert [(one.outcome, one.against) for one in world.decisions] == [(outcome, "3-int8")]
    assert world.report().change == pytest.approx(change)
    world.offer(10)
    assert not world.shadows._pairs


async def test_a_request_that_the_candidate_fails_counts_as_changed_and_one_it_could_not_take_not_at_all(world):
    world.error = InternalError("broken", cause="a bug")
    world.offer(2)
    await world.run_until(lambda: world.report().num_requests == 2)
    world.error = NotReadyError("restarting")
    world.offer(2)
    await world.run_until(lambda: world.report().num_skipped == 2)
    assert (world.report().num_requests, world.report().change) == (2, 1)


async def test_a_test_goes_on_when_only_the_share_changes_and_starts_anew_with_another_margin(world):
    world.offer()
    await world.run_until(lambda: world.report().num_requests == 1)
    world.copy(share=0.5)
    assert world.report().num_requests == 1
    world.copy(margin=0.05)
    assert world.report().num_requests == 0


async def test_metrics_tell_what_is_known(world):
    world.factor = 1.5
    world.offer(100)
    await world.run_until(lambda: world.decisions)
    samples = {
        sample.name: sample for family in GateMetrics(world.shadows.report).collect() for sample in family.samples
    }
    outcome = samples["millrace_live_gate_outcome"]
    assert outcome.labels == {"model": "double", "version": "4-int8", "against": "3-int8"}
    assert (outcome.value, samples["millrace_live_gate_change"].value) == (-1, pytest.approx(0.5))


def test_a_candidate_whose_metric_bounds_no_change_needs_a_margin_of_its_own(tmp_path):
    variant = make_variant(make_manifest(), tmp_path)
    with pytest.raises(RoutingError, match="accuracy of net 1-eager says nothing of how many answers may change"):
        choose_margin(variant, None)
    assert choose_margin(variant, 0.02) == 0.02
    gate = {"rule": "r", "passed": True, "why": "w", "live_margin": 0.01}
    assert choose_margin(make_variant(make_manifest(gate=gate), tmp_path), None) == 0.01


def test_outputs_of_chance_are_not_compared(tmp_path):
    outputs = [{"name": name, "datatype": "FP32", "shape": [-1, 2], "meaning": "numbers"} for name in ("y", "noise")]
    golden = GoldenAnswer(inputs=("x",), output="y", expected=np.ones((1, 2), np.float32), tolerance=0.1)
    variant = make_variant(make_manifest(outputs=outputs), tmp_path, golden)
    gate = shadow.LiveGate(variant, variant, 0.1)
    sent = InferAnswer("net", "1-eager", "r", [tensor("y", 1.0), tensor("noise", 1.0)])
    gate.compare(sent, InferAnswer("net", "1-eager", "r", [tensor("y", 1.0), tensor("noise", 5.0)]))
    assert gate.report().change == 0
