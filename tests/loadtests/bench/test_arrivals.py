"""The generator of the overload benchmark against our own gRPC server."""

import asyncio
import socket
import threading

import numpy as np
import pytest

from loadtests.bench.arrivals import measure_capacity, send_poisson
from loadtests.generate.lean_grpc import CONNECTION_LOST, RECONNECT_S, open_lean_channel
from loadtests.generate.lean_grpc import CallError as LostCall
from model_store.open_inference import INFER_PATH, STREAM_INFER_PATH
from services.grpc_server import CallError, GrpcStatus, Limits, Server, Streaming, Unary

BUSY = b"too busy"


async def answer(data, context):
    if data == BUSY:
        raise CallError(GrpcStatus.RESOURCE_EXHAUSTED, "no")
    await asyncio.sleep(0.01)
    return data[:1] * 20_000


async def spell(requests, context):
    async for data in requests:
        for number in data:
            yield bytes([number]) * 20_000


@pytest.fixture
async def server():
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server({INFER_PATH: Unary(answer), STREAM_INFER_PATH: Streaming(spell)}, Limits())
    await server.start(listener)
    yield server, f"127.0.0.1:{listener.getsockname()[1]}"
    await server.stop(1)


async def call(channel, message):
    ended = asyncio.get_running_loop().create_future()
    channel.call(INFER_PATH, message, 5.0, lambda *result: ended.set_result(result[:2]))
    return await ended


async def test_a_call_ends_with_its_status_and_its_answer(server):
    async with open_lean_channel(server[1]) as channel:
        assert await call(channel, b"a") == ("OK", b"a" * 20_000)
        assert await call(channel, BUSY) == ("RESOURCE_EXHAUSTED", b"no")
        answers = await asyncio.gather(*(call(channel, bytes([number])) for number in range(50)))
    assert answers == [("OK", bytes([number]) * 20_000) for number in range(50)]


async def test_calls_of_another_thread_leave_while_the_event_loop_stands_still(server):
    """Large ones do not fit into the socket: what is left of them has to go before what comes after."""
    messages = [bytes([number]) * (300_000 if number % 5 == 0 else 1) for number in range(40)]
    ends = {}
    async with open_lean_channel(server[1]) as channel:

        def send():
            for message in messages:
                channel.call_now(
                    INFER_PATH, message, 20.0, lambda *end, first=message[:1]: ends.update({first: end[:2]})
                )

        thread = threading.Thread(target=send)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        while len(ends) < len(messages):
            await asyncio.sleep(0.01)
    assert ends == {message[:1]: ("OK", message[:1] * 20_000) for message in messages}


async def test_a_call_with_several_answers_hears_each_of_them(server):
    async with open_lean_channel(server[1]) as channel:
        ended, heard = asyncio.get_running_loop().create_future(), []
        channel.call(
            STREAM_INFER_PATH, b"abc", 5.0, lambda *result: ended.set_result(result[:2]), lambda *one: heard.append(one)
        )
        assert await ended == ("OK", b"")
    assert [message for message, _ in heard] == [letter * 20_000 for letter in (b"a", b"b", b"c")]
    assert [moment for _, moment in heard] == sorted(moment for _, moment in heard)


async def test_calls_of_a_lost_connection_have_ended(server):
    async with open_lean_channel(server[1]) as channel:
        pending = asyncio.ensure_future(call(channel, b"a"))
        await asyncio.sleep(0.005)
        for connection in list(server[0].connections):
            connection.abort()
        assert await pending == (CONNECTION_LOST, b"")


async def test_arrivals_are_random_at_the_rate_that_was_asked_for(server):
    async with open_lean_channel(server[1]) as channel:
        calls = await send_poisson(channel, [b"a", BUSY], 400.0, 1.0, 5.0)
        await asyncio.sleep(0.2)
    assert len(calls) == pytest.approx(400, abs=100)  # five standard deviations
    assert [call.status for call in calls[:4]] == ["OK", "RESOURCE_EXHAUSTED"] * 2
    gaps = np.diff([call.scheduled_s for call in calls])
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.4)  # exponential
    good = next(call for call in calls if call.status == "OK")
    assert good.is_good(5.0)
    assert not good.is_good(0.009)
    assert good.left_s >= good.scheduled_s


async def test_capacity_counts_answers_while_callers_wait_for_theirs(server, monkeypatch):
    monkeypatch.setattr("loadtests.bench.arrivals.WARM_UP_S", 0.1)
    monkeypatch.setattr("loadtests.bench.arrivals.CAPACITY_S", 0.5)
    assert 0 < await measure_capacity(server[1], [b"a"], 4) <= 400
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        await measure_capacity(server[1], [BUSY], 4)


async def test_a_connection_that_was_lost_is_made_anew(server):
    async with open_lean_channel(server[1]) as channel:
        for connection in channel._connections:
            connection._transport.abort()
        with pytest.raises(LostCall, match=CONNECTION_LOST):
            await channel.ask(INFER_PATH, b"a", 5.0)
        await asyncio.sleep(3 * RECONNECT_S)
        assert await channel.ask(INFER_PATH, b"a", 5.0) == b"a" * 20_000


async def test_a_call_that_failed_says_what_the_server_said_of_it(server):
    async with open_lean_channel(server[1]) as channel:
        with pytest.raises(LostCall, match="RESOURCE_EXHAUSTED: no"):
            await channel.ask(INFER_PATH, BUSY, 5.0)
