import pytest

from services.catalogue import Catalogue
from services.gateway.core import Gateway
from services.gateway.errors import InternalError, NotReadyError
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import make_manifest, make_variant

BROKEN = "3-int8"


@pytest.fixture
def variants(tmp_path):
    return [make_variant(make_manifest(variant=name), tmp_path) for name in ("eager", "int8")]


@pytest.fixture
async def gateway(variants, backend):
    return Gateway(Catalogue(variants), backend, GatewaySettings())


def break_calls(backend, error, calls=1):
    left = [error] * calls

    def fail(rows):
        if left:
            raise left.pop()

    backend.before_answer = fail


def gauge(gateway, variant):
    labels = {"model": variant.model, "version": variant.version}
    return gateway.metrics.registry.get_sample_value("millrace_model_ready", labels)


async def test_loaded_workers_are_not_ready_before_an_answer_has_come_through_the_door(gateway, backend, variants):
    assert not gateway.is_ready()
    assert not any(map(gateway.is_model_ready, variants))
    assert [gauge(gateway, variant) for variant in variants] == [0, 0]
    assert await gateway.readiness.prove() == []
    assert backend.batches == [[[1, 1]], [[1, 1]]]
    assert gateway.is_ready()
    assert [gauge(gateway, variant) for variant in variants] == [1, 1]
    assert [gateway.state_of(variant) for variant in variants] == [("READY", "")] * 2


async def test_no_version_is_ready_before_all_are(gateway, backend, variants):
    break_calls(backend, InternalError("failed", cause="a bug"))
    ((_, error),) = await gateway.readiness.prove()
    assert error.cause == "a bug"
    assert not any(map(gateway.is_model_ready, variants))
    assert await gateway.readiness.prove() == []
    assert len(backend.batches) == 3  # the one that had answered was not asked again
    assert gateway.is_ready()


async def test_a_worker_that_comes_back_is_ready_when_it_has_answered(gateway, backend, variants):
    await gateway.readiness.prove()
    backend.first_worker = 7
    assert not any(map(gateway.is_model_ready, variants))
    break_calls(backend, NotReadyError("died again"), calls=4)  # each call is repeated once
    assert len(await gateway.readiness.prove()) == 2
    assert not gateway.is_ready()
    await gateway.readiness.prove()
    assert gateway.is_ready()


async def test_a_version_stays_ready_while_one_of_its_proven_workers_lives(gateway, backend):
    backend.workers = 2
    await gateway.readiness.prove()
    backend.first_worker = 2  # the second one lives, a third has come
    assert gateway.is_ready()
    backend.first_worker = 3  # the third one has not answered yet
    assert not gateway.is_ready()


async def test_its_own_requests_are_counted_apart(gateway, variants):
    await gateway.readiness.prove()
    labels = {"model": "double", "version": "3-eager", "outcome": "ok", "protocol": "self"}
    assert gateway.metrics.registry.get_sample_value("millrace_requests_total", labels) == 1
