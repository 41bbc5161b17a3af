import asyncio
import math
import re
from dataclasses import replace
from time import monotonic

import httpx
import pytest

from services.catalogue import Catalogue
from services.gateway.caller import KnownCaller
from services.gateway.core import Gateway
from services.gateway.errors import OverloadedError
from services.gateway.rest import make_app
from services.gateway.routing import Canary, Router
from services.gateway.settings import GatewaySettings
from services.gateway.valve import is_faster
from tests.services.gateway.conftest import make_manifest, make_variant
from tests.services.gateway.test_core import make_request

ANYBODY = KnownCaller(metadata={"x-variant": "any"})


def make(folder, variant, rows_per_s, **changes):
    speed = {"rows": 8, "rows_per_s": rows_per_s, "single_row_ms": 1.0, "threads": 1, "host": "here"}
    served = make_variant(make_manifest(variant=variant, speed=speed, **changes), folder)
    return replace(served, is_default=variant == "eager")


@pytest.fixture
def variants(tmp_path):
    failed = {"rule": "r", "passed": False, "why": "worse"}
    return {
        variant.version: variant
        for variant in (
            make(tmp_path, "eager", 100.0),
            make(tmp_path, "bf16", 200.0),
            make(tmp_path, "int8", 300.0),
            make(tmp_path, "fp8", 400.0, gate=failed),
            make(tmp_path, "tiny", 500.0, release=2),
            make(tmp_path, "short", 600.0, max_rows=2),
        )
    }


def test_only_faster_variants_of_the_release_that_passed_the_gate_stand_in(variants):
    def find_faster(than):
        return [other.version for other in variants.values() if is_faster(other, variants[than])]

    assert find_faster("3-eager") == ["3-bf16", "3-int8"]
    assert find_faster("3-int8") == []


@pytest.fixture
async def overloaded(variants, backend):
    """A gateway whose eager variant has more than it can do in time; int8 has nothing to do."""

    async def open_gateway(slow=("3-eager",), names=("3-eager", "3-int8"), **settings):
        served = [variants[name] for name in names]
        gateway = Gateway(Catalogue(served), backend, GatewaySettings(max_wait_ms=2000, **settings))
        for version in slow:
            gateway._models["double", version].admission.observe(4, monotonic() - 9)  # a batch takes seconds
        await gateway.readiness.prove()
        backend.gate.clear()
        waiting.extend(asyncio.ensure_future(gateway.infer(make_request(1, version=version))) for version in slow)
        for _ in range(5):
            await asyncio.sleep(0)
        backend.gate.set()
        return gateway

    waiting: list[asyncio.Future] = []
    yield open_gateway
    await asyncio.gather(*waiting)


@pytest.mark.parametrize(
    ("settings", "changes"),
    [({}, {"any_variant": True}), ({}, {"caller": ANYBODY}), ({"any_variant": True}, {})],
    ids=["parameter", "header", "operator"],
)
async def test_a_faster_variant_answers_before_anyone_is_refused(overloaded, settings, changes):
    gateway = await overloaded(**settings)
    answer = await gateway.infer(make_request(1, version="", **changes))
    assert answer.version == "3-int8"
    assert gateway.metrics.redirected.labels("double", "3-eager", "3-int8")._value.get() == 1


async def test_the_faster_variant_has_all_who_take_it_for_a_while(overloaded, backend):
    gateway = await overloaded(any_variant=True)
    slower = gateway._models["double", gateway.find_variant("double").version]
    assert (await gateway.infer(make_request(1, version=""))).version == "3-int8"
    while slower.batcher.num_calls:
        await asyncio.sleep(0)
    assert (await gateway.infer(make_request(1, version=""))).version == "3-int8"
    assert (await gateway.infer(make_request(1, version="3-eager"))).version == "3-eager"
    slower.relieved_until_s = monotonic()
    assert (await gateway.infer(make_request(1, version=""))).version == "3-eager"


async def test_no_faster_variant_than_needed_takes_over(overloaded):
    gateway = await overloaded(names=("3-eager", "3-int8", "3-bf16"), any_variant=True)
    assert (await gateway.infer(make_request(1, version=""))).version == "3-bf16"


async def test_without_a_faster_variant_that_is_ready_nothing_changes(overloaded, backend):
    gateway = await overloaded(any_variant=True)
    gateway.readiness._mismatches["double 3-int8"] = "another answer"
    with pytest.raises(OverloadedError, match="of double 3-eager"):
        await gateway.infer(make_request(1, version=""))


@pytest.mark.parametrize("changes", [{"version": ""}, {"version": "3-eager", "any_variant": True}])
async def test_nobody_is_answered_by_a_variant_that_he_did_not_allow(overloaded, changes):
    gateway = await overloaded()
    with pytest.raises(OverloadedError):
        await gateway.infer(make_request(1, **changes))


async def test_an_overloaded_faster_variant_is_no_relief(overloaded):
    gateway = await overloaded(slow=("3-eager", "3-int8"), any_variant=True)
    with pytest.raises(OverloadedError, match="of double 3-int8"):
        await gateway.infer(make_request(1, version=""))


ROWS = [[1.0, 2.0]]


@pytest.fixture
async def http(variants, backend):
    """A client of REST, whose int8 has all who take it."""
    gateway = Gateway(Catalogue([variants["3-eager"], variants["3-int8"]]), backend, GatewaySettings())
    await gateway.readiness.prove()
    gateway._models["double", "3-eager"].relieved_until_s = math.inf
    transport = httpx.ASGITransport(make_app(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://here", headers={"x-variant": "any"}) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/double{}/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": ROWS}]}),
        ("/v1/double{}", {"inputs": {"x": ROWS}}),
        ("/v2/models/double{}/generate", {"x": ROWS}),
        ("/v2/models/double{}/generate_stream", {"x": ROWS}),
    ],
)
async def test_each_way_of_rest_takes_relief_but_where_the_variant_was_named(http, path, body):
    prefix = "" if path.startswith("/v1") else "/versions"
    for named, answers in (("", "3-int8"), ("/3", "3-int8"), ("/3-eager", "3-eager")):
        answer = await http.post(path.format(f"{prefix}{named}" if named else ""), json=body)
        assert answer.status_code == 200, answer.text
        assert re.findall(r'"(?:model_)?version": ?"([^"]+)"', answer.text) == [answers], named


async def test_a_request_that_was_read_for_a_canary_is_answered_by_it(variants, backend, monkeypatch):
    gateway = Gateway(Catalogue([variants["3-eager"], variants["3-int8"]]), backend, GatewaySettings())
    await gateway.readiness.prove()
    chances = iter([0.0, 0.9])
    monkeypatch.setattr("services.gateway.routing.random.random", lambda: next(chances))
    canary = Canary(weights={"3-int8": 0.5})
    gateway.router = Router({"double": (canary, {"3-int8": variants["3-int8"]})})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(gateway)), base_url="http://here") as client:
        answer = await client.post("/v1/double", json={"inputs": {"x": ROWS}})
    assert answer.json()["version"] == "3-int8"
