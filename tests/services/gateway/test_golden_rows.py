"""Golden rows through the front door: a version that computes something else than was released is not ready."""

import asyncio
import itertools
import time
from collections import Counter

import numpy as np
import pytest

from model_store.golden import GoldenAnswer
from model_store.open_inference import messages
from services.catalogue import Catalogue
from services.example_requests import build_example_requests
from services.gateway.core import Gateway
from services.gateway.errors import InternalError, NotReadyError
from services.gateway.grpc import OpenInferenceService
from services.gateway.grpc_messages import decode_request
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import make_manifest, make_variant

EXPECTED = np.full((3, 2), 2, np.float32)
WHY = "output 'y' for golden rows of x and weight deviates by 0.5 of its size from what was released; 0.001 is allowed"


@pytest.fixture
def variants(tmp_path):
    right = GoldenAnswer(inputs=("x", "weight"), output="y", expected=EXPECTED, tolerance=0.001)
    return [
        make_variant(make_manifest(variant="eager"), tmp_path),  # from before there were golden rows
        make_variant(make_manifest(variant="int8"), tmp_path, right),
    ]


@pytest.fixture
async def gateway(variants, backend, let_pass):
    return Gateway(Catalogue(variants), backend, GatewaySettings())


@pytest.fixture
def let_pass(monkeypatch):
    """Let time go by for the front door."""
    passed_s = [0.0]
    for module in ("answering", "batching", "core", "journal", "served_model", "waiting"):
        monkeypatch.setattr(f"services.gateway.{module}.monotonic", lambda: time.monotonic() + sum(passed_s))
    return passed_s.append


def ask(variant):
    request = decode_request(build_example_requests(variant, 1)[0])
    request.protocol = "grpc"
    return request


def gauge(gateway, variant, name="millrace_golden_mismatch"):
    return gateway.metrics.registry.get_sample_value(name, {"model": variant.model, "version": variant.version})


async def test_right_answers_make_ready_and_an_old_release_proves_only_an_answer(gateway, backend, variants):
    assert await gateway.readiness.prove() == []
    assert sorted(backend.batches, key=len) == [[[1, 1]], [[1, 1]] * 3]
    assert gateway.is_ready()
    assert [gauge(gateway, variant) for variant in variants] == [0, 0]


async def test_a_version_that_computes_something_else_is_not_ready_and_says_why(gateway, backend, variants):
    eager, int8 = variants
    backend.factor = 3
    assert await gateway.readiness.prove() == []  # it has answered: to ask again at once would not help
    assert gateway.readiness.was_complete
    assert (gateway.is_ready(), gateway.is_model_ready(eager), gateway.is_model_ready(int8)) == (False, True, False)
    assert (gauge(gateway, int8), gauge(gateway, int8, "millrace_model_ready"), gauge(gateway, eager)) == (1, 0, 0)
    index = OpenInferenceService(gateway).repository_index(messages().RepositoryIndexRequest())
    assert [(row.version, row.state, row.reason) for row in index.models] == [
        ("3-eager", "READY", ""),
        ("3-int8", "UNAVAILABLE", WHY),
    ]


async def test_nobody_is_answered_by_a_version_that_computes_something_else(gateway, backend, variants):
    eager, int8 = variants
    backend.factor = 3
    await gateway.readiness.prove()
    with pytest.raises(NotReadyError, match="double 3-int8 computes something else on this machine than was released"):
        await gateway.infer(ask(int8))
    assert (await gateway.infer(ask(eager))).version == "3-eager"


async def test_an_idle_version_is_asked_each_minute_and_is_ready_again_when_right(gateway, backend, variants, let_pass):
    await gateway.readiness.prove()
    backend.factor = 3
    let_pass(59)
    await gateway.readiness.check_idle()
    assert gateway.is_ready()
    let_pass(2)
    await gateway.readiness.check_idle()
    assert [gateway.is_model_ready(variant) for variant in variants] == [True, False]
    backend.factor = 2
    let_pass(59)
    await gateway.readiness.check_idle()
    assert not gateway.is_ready()
    let_pass(2)
    await gateway.readiness.check_idle()
    assert gateway.is_ready()
    assert gauge(gateway, variants[1]) == 0


async def test_a_version_that_answers_others_or_is_asked_by_them_is_not_idle(gateway, backend, variants, let_pass):
    await gateway.readiness.prove()
    let_pass(61)
    await gateway.infer(ask(variants[0]))
    backend.gate.clear()
    waiting = asyncio.create_task(gateway.infer(ask(variants[1])))
    while len(backend.batches) < 4:
        await asyncio.sleep(0)
    await gateway.readiness.check_idle()
    backend.gate.set()
    await waiting
    assert len(backend.batches) == 4


async def test_an_idle_version_that_gives_no_answer_stays_as_it_was(gateway, backend, variants, let_pass):
    await gateway.readiness.prove()

    def fail(rows):
        raise InternalError("failed", cause="a bug")

    backend.before_answer = fail
    let_pass(61)
    await gateway.readiness.check_idle()
    assert len(backend.batches) == 4
    assert gateway.is_ready()


async def test_a_new_worker_is_asked_for_its_golden_rows(gateway, backend, variants):
    await gateway.readiness.prove()
    backend.first_worker, backend.factor = 7, 3
    await gateway.readiness.prove()
    assert gateway.state_of(variants[1]) == ("UNAVAILABLE", WHY)
    backend.first_worker, backend.factor = 8, 2
    await gateway.readiness.prove()
    assert gateway.is_ready()


def take_turns(backend, *workers):
    """Have an engine's workers answer in this order, over and over, and count their answers."""
    turns, counts = itertools.cycle(workers), Counter()

    def choose():
        worker = next(turns)
        counts[worker] += 1
        return worker

    backend.workers, backend.choose_worker = len(set(workers)), choose
    return counts


async def test_each_worker_answers_the_golden_rows(gateway, backend):
    counts = take_turns(backend, 1, 2, 3)
    assert await gateway.readiness.prove() == []
    assert set(gateway.readiness.describe().workers.values()) == {frozenset({1, 2, 3})}
    assert min(counts.values()) >= 2  # for both versions
    assert gateway.is_ready()


async def test_one_worker_that_computes_something_else_is_found_among_others(gateway, backend, variants):
    take_turns(backend, 1, 2)
    backend.factors = {2: 3}
    assert await gateway.readiness.prove() == []
    assert [gateway.is_model_ready(variant) for variant in variants] == [True, False]


async def test_a_worker_that_comes_back_is_asked_though_another_one_is_proven(gateway, backend, variants):
    take_turns(backend, 1, 2)
    await gateway.readiness.prove()
    take_turns(backend, 2, 3)
    backend.first_worker, backend.factors = 2, {3: 3}
    await gateway.readiness.prove()
    assert [gateway.is_model_ready(variant) for variant in variants] == [True, False]


async def test_a_worker_that_no_golden_row_reaches_is_not_taken_for_proven(gateway, backend):
    counts = take_turns(backend, 1, 1)
    backend.workers = 2
    await gateway.readiness.prove()
    assert set(gateway.readiness.describe().workers.values()) == {frozenset({1})}
    assert counts[1] == 2 * 16
