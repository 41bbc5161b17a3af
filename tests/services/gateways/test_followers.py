"""Several gateway processes answer as one: what is served, what is counted, and what becomes of the others' ends."""

import asyncio

import pytest

from services.catalogue import Catalogue
from services.gateway.errors import NotReadyError, UnknownModelError
from services.gateway.keys import KeyFile, Verb
from services.torchserve.command import StartError
from tests.services.gateways.conftest import ask

OK = ("millrace_requests_total", "http", "ok")


async def test_all_answer_and_their_counts_add_up_to_the_number_of_calls(make_world):
    async with make_world(3) as world:
        statuses = await world.call(60)
        found = await world.metrics()
        of_each = [found["millrace_gateway_requests_total", number] for number in "012"]
        statistics = [await gateway.describe_statistics("double") for gateway in world.gateways]
    assert set(statuses) == {200}
    assert (found[OK], sum(of_each)) == (60, 60)
    assert min(of_each) > 0
    assert found["millrace_request_seconds_count",] == 61  # and the leader's own question
    assert (found["millrace_slots",], found["millrace_model_ready",]) == (1, 1)
    assert statistics[0] == statistics[1] == statistics[2]
    assert statistics[0]["model_stats"][0]["inference_stats"]["success"]["count"] == 61


async def test_a_new_release_reaches_all_and_the_old_one_goes_when_all_have_answered_what_they_have(
    make_world, next_variant, variant
):
    async with make_world() as world:
        leader, follower = world.gateways
        world.processes[1].engine.gate.clear()
        answer = asyncio.create_task(ask(follower))
        await world.until(lambda: world.processes[1].engine.batches)
        leader.add(next_variant)
        await leader.readiness.prove_one(next_variant)
        leader.catalogue = Catalogue([next_variant])
        draining = asyncio.create_task(leader.drain(variant, 5))
        await world.until(lambda: follower.catalogue.versions("double") == ["4-eager"])
        assert follower.is_ready()
        await asyncio.sleep(0.2)
        assert not draining.done()
        world.processes[1].engine.gate.set()
        assert (await answer).version == "3-eager"
        await draining
        assert follower.versions() == [("double", "4-eager")]
        assert (await ask(follower)).version == "4-eager"


async def test_one_that_is_killed_comes_back_and_its_counts_stay(make_world):
    async with make_world() as world:
        await world.call(40)
        before = await world.metrics()
        killed = world.processes[1]
        killed.kill()
        await world.until(lambda: killed.task.done())
        assert set(await world.call(10)) == {200}
        await world.until(lambda: world.processes[1] is not killed and world.processes[1].life._follower is not None)
        await world.followers.spread()
        assert set(await world.call(40)) == {200}
        after = await world.metrics()
    of_follower = [found["millrace_gateway_requests_total", "1"] for found in (before, after)]
    assert (before[OK], after[OK]) == (40, 90)
    assert 0 < of_follower[0] < of_follower[1]
    assert after["millrace_gateway_restarts_total", "1"] == 1


async def test_one_that_stands_still_is_replaced_and_no_other(make_world, monkeypatch):
    monkeypatch.setattr("services.gateways.processes.PULSE_S", 0.01)
    monkeypatch.setattr("services.gateways.processes.SILENT_S", 0.2)
    async with make_world(3) as world:
        still, other = world.processes[1], world.processes[2]
        still.stop()
        await world.until(lambda: world.processes[1] is not still and world.processes[1].life._follower is not None)
        await world.followers.spread()
        assert still.task.done()
        assert world.processes[2] is other
        assert world.followers.restarts == {1: 1, 2: 0}
        assert set(await world.call(20)) == {200}


async def test_all_refuse_a_key_that_was_revoked(make_world, tmp_path, monkeypatch):
    monkeypatch.setattr("services.gateway.keys.LOOK_S", 0.0)
    file = KeyFile(tmp_path / "keys.json")
    key = {"x-api-key": file.add("phone", (), (Verb.INFER,), None)}
    async with make_world(api_keys=file.path) as world:
        assert set(await world.call(20, **key)) == {200}
        file.revoke("phone")
        assert set(await world.call(20, **key)) == {401}


async def test_readiness_is_the_same_everywhere(make_world):
    async with make_world() as world:
        leader, follower = world.gateways
        world.backend.is_ready = False
        world.followers.publish()
        await world.until(lambda: not follower.is_ready())
        world.backend.is_ready = True
        leader.is_draining = True
        await world.followers.spread()
        assert follower.state_of(follower.catalogue.variants[0]) == ("UNAVAILABLE", "the server is shutting down")


async def test_what_callers_want_of_models_is_done_by_the_leader(make_world):
    async with make_world(model_control=True) as world:
        _, follower = world.gateways
        await follower.control.load("more")
        assert world.control.loaded == ["more"]
        world.control.load = refuse
        with pytest.raises(UnknownModelError, match="the store has no model 'none'"):
            await follower.control.load("none")


async def refuse(model):
    raise UnknownModelError(f"the store has no model {model!r}")


async def test_refusals_and_samples_are_those_of_all(make_world):
    async with make_world() as world:
        for gateway in world.gateways:
            with pytest.raises(UnknownModelError):
                await ask(gateway, version="9")
        lists = [await gateway.list_errors() for gateway in world.gateways]
        for _ in range(2):
            world.console.history.take_sample(await world.whole.collect())
        samples = await world.gateways[1].peers.list_samples(0)
    assert [len(errors) for errors in lists] == [2, 2]
    assert lists[0] == lists[1]
    assert samples[0]["versions"]["double 3-eager"]["gauges"]["millrace_model_ready"] == 1


async def test_a_follower_ends_with_its_leader(make_world):
    async with make_world() as world:
        process = world.processes[1]
        gateway = process.gateway
        (member,) = world.followers._members
        world.followers._is_stopping = True
        member.channel.close()
        await world.until(lambda: process.task.done())
        with pytest.raises(NotReadyError, match="has just ended"):
            await gateway.describe_statistics()


async def test_one_that_does_not_start_fails_the_start(make_world, monkeypatch):
    monkeypatch.setattr("services.gateways.follower.join_port", fail)
    with pytest.raises(StartError, match="gateway process 1 ended while it started"):
        async with make_world():
            pass


def fail(host, port):
    raise OSError("no such port")


async def test_what_a_process_said_before_its_end_is_not_counted_besides_what_is_kept_of_it(make_world):
    async with make_world(3) as world:
        await world.call(30)
        before = await world.metrics()
        slow, killed = world.processes[1], world.processes[2]
        answer, may_answer = slow.life._follower.answer, asyncio.Event()

        async def answer_late(*question):
            await may_answer.wait()
            return await answer(*question)

        slow.life._follower.answer = answer_late
        collecting = asyncio.create_task(world.metrics())
        await asyncio.sleep(0.1)  # the one that is killed has answered
        killed.kill()
        await world.until(lambda: world.processes[2] is not killed)
        may_answer.set()
        during = await collecting
    assert (before[OK], during[OK]) == (30, 30)
