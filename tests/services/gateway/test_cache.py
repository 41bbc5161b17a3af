"""Answers that are given again: only where equal requests have equal answers, and only to the same callers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from model_store.golden import GoldenAnswer
from services.catalogue import Catalogue
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import make_manifest, make_variant
from tests.services.gateway.test_provenance import SEED, TEMPERATURE, make_request

GOLDEN = GoldenAnswer(inputs=("x", "weight"), output="y", expected=np.ones((3, 2), np.float32), tolerance=0.01)
OUTPUTS = make_manifest().outputs[:1]


@pytest.fixture
def make_gateway(backend, tmp_path):
    def make(golden=GOLDEN, digest="a1b2", cache_mib=1, **changes):
        manifest = make_manifest(outputs=OUTPUTS, **changes)
        variant = make_variant(manifest, tmp_path, *([golden] if golden else []), release_digest=digest)
        return Gateway(Catalogue([variant]), backend, GatewaySettings(cache_mib=cache_mib))

    return make


def count(gateway, outcome):
    labels = {"model": "double", "version": "3-eager", "outcome": outcome}
    return gateway.metrics.registry.get_sample_value("millrace_cache_lookups_total", labels) or 0


async def ask(gateway, value=1.0, caller=None, **parameters):
    request = make_request(value, **parameters)
    request.caller = caller or request.caller
    return np.frombuffer((await gateway.infer(request)).outputs[0].data, np.float32)[0]


async def test_an_equal_request_is_answered_without_the_model(make_gateway, backend):
    gateway = make_gateway()
    assert [await ask(gateway, value) for value in (1, 1, 2, 1)] == [2, 2, 4, 2]
    assert len(backend.batches) == 2
    assert (count(gateway, "hit"), count(gateway, "miss")) == (2, 2)


async def test_tritons_statistics_have_hits_and_misses_with_their_times(make_gateway):
    gateway = make_gateway()
    for value in (1, 1, 2, 1):
        await ask(gateway, value)
    await ask(gateway, cache=False)
    (described,) = gateway.list_statistics("double")
    hits, misses = (described["inference_stats"][name] for name in ("cache_hit", "cache_miss"))
    assert (hits["count"], misses["count"]) == (2, 2)
    assert 0 < hits["ns"] < 2e8
    assert 0 < misses["ns"] < 2e8
    assert described["execution_count"] == 3


async def test_it_is_off_unless_asked_for(make_gateway, backend):
    gateway = make_gateway(cache_mib=0)
    assert [await ask(gateway) for _ in range(2)] == [2, 2]
    assert len(backend.batches) == 2


async def test_what_an_answer_depends_on_is_in_the_key(make_gateway, backend):
    gateway = make_gateway()
    for parameters in ({}, {"gain": 1.0}, {"top_k": 1}, {"flip": True}, {"flip": False}):
        await ask(gateway, **parameters)
    assert len(backend.batches) == 5
    backend.factor = 3
    assert await ask(gateway) == 2


async def test_a_request_may_want_it_computed(make_gateway, backend):
    gateway = make_gateway()
    await ask(gateway)
    await ask(gateway, cache=False)
    await ask(gateway, caller=KnownCaller(metadata={"cache-control": "no-cache"}))
    await ask(gateway, cache=True)
    assert len(backend.batches) == 3


@pytest.mark.parametrize(
    ("changes", "parameters", "num_calls"),
    [
        ({"golden": None}, {}, 2),  # nobody has seen that it answers the same twice
        ({"digest": ""}, {}, 2),
        ({"parameters": (SEED,)}, {}, 2),
        ({"parameters": (SEED,)}, {"seed": 7}, 1),
        ({"parameters": (SEED, TEMPERATURE)}, {"temperature": 0.5}, 2),
        ({"parameters": (SEED, TEMPERATURE)}, {"temperature": 0.5, "seed": 7}, 1),
        ({"parameters": (SEED, TEMPERATURE)}, {}, 1),
    ],
)
async def test_chance_is_not_repeated(make_gateway, backend, changes, parameters, num_calls):
    gateway = make_gateway(**changes)
    for _ in range(2):
        await ask(gateway, **parameters)
    assert len(backend.batches) == num_calls


async def test_callers_who_show_who_they_are_share_no_answers(make_gateway, backend):
    gateway = make_gateway()
    phone = SimpleNamespace(name="phone", opens=lambda model: True)
    for caller in (
        KnownCaller("10.0.0.1:1", {}, phone),
        KnownCaller("10.0.0.2:1", {}, phone),
        KnownCaller("10.0.0.2:1", {}, replace_name(phone, "tv")),
        KnownCaller("10.0.0.2:1", {}, None, "CN=tv"),
        KnownCaller("10.0.0.2:1"),
        KnownCaller("10.0.0.3:1"),
    ):
        await ask(gateway, caller=caller)
    assert len(backend.batches) == 4


def replace_name(key, name):
    return SimpleNamespace(**{**vars(key), "name": name})


async def test_it_is_bounded_in_bytes_and_keeps_what_was_wanted_last(make_gateway, backend, monkeypatch):
    monkeypatch.setattr("services.gateway.cache._ENTRY_BYTES", 300_000)  # three fit
    gateway = make_gateway()
    for value in (1, 2, 3, 1, 4):
        await ask(gateway, value)
    assert len(backend.batches) == 4
    await ask(gateway, 1)
    await ask(gateway, 3)
    assert len(backend.batches) == 4
    await ask(gateway, 2)
    assert len(backend.batches) == 5
    assert gateway.metrics.registry.get_sample_value("millrace_cache_bytes") <= 2**20


async def test_golden_rows_are_always_computed(make_gateway, backend):
    gateway = make_gateway()
    for _ in range(2):
        request = replace(make_request(), protocol="self")
        await gateway.infer(request)
    assert len(backend.batches) == 2


async def test_rows_that_failed_are_asked_for_again(make_gateway, backend):
    gateway = make_gateway()
    backend.row_error = lambda row: "broken"
    for _ in range(2):
        with pytest.raises(Exception, match="broken"):
            await ask(gateway)
    assert len(backend.batches) == 2
