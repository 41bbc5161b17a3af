"""Calls of gRPC's own client, well and badly behaved."""

import asyncio
from time import monotonic

import grpc
import pytest

from services.grpc_server import CallError, GrpcStatus, Limits
from services.grpc_server.errors import RefusedError
from tests.services.grpc_server.conftest import LIMIT, invoke, status_of


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 70_000, 5_000_000])
async def test_echoes_messages_of_any_size(channel, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert await channel.unary_unary("/t/Echo")(data) == data


async def test_answers_many_calls_at_once_in_their_own_streams(channel):
    echo = channel.unary_unary("/t/Echo")
    sent = [f"{number}".encode() * (number * 37) for number in range(300)]
    assert await asyncio.gather(*(echo(data) for data in sent)) == sent


async def test_reads_headers_that_change_with_everyinvoke(channel, service):
    echo = channel.unary_unary("/t/Echo")
    for number in range(200):
        assert await echo(b"x", metadata=(("x-request-id", f"id-{number}"),), timeout=5 + number) == b"x"
    assert [context.request_id for context in service.contexts] == [f"id-{number}" for number in range(200)]
    # gRPC rounds timeouts up to three digits.
    left_s = [context.deadline_s - monotonic() for context in service.contexts]
    assert all(1 < left <= 1.01 * (5 + number) for number, left in enumerate(left_s))


async def test_takes_compressed_messages_and_refuses_bombs(channel):
    echo = channel.unary_unary("/t/Echo")
    assert await echo(b"a" * 100_000, compression=grpc.Compression.Gzip) == b"a" * 100_000
    assert await echo(b"b" * 100_000, compression=grpc.Compression.Deflate) == b"b" * 100_000
    bomb = await status_of(echo(bytes(LIMIT + 1), compression=grpc.Compression.Gzip))
    assert bomb.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_refuses_a_large_message_before_it_has_come_and_keeps_the_connection(channel):
    echo = channel.unary_unary("/t/Echo")
    neighbour = asyncio.ensure_future(invoke(echo, bytes(1_000_000)))
    error = await status_of(echo(bytes(100_000_000)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == f"the message has 100000000 bytes; at most {LIMIT} are taken"
    assert len(await neighbour) == 1_000_000
    assert await echo(b"still here") == b"still here"


async def test_answers_errors_with_status_text_and_id(channel):
    error = await status_of(channel.unary_unary("/t/Refuse")(b""))
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "no: 100 % größer\nthan allowed")
    assert dict(error.trailing_metadata())["x-request-id"] == "id-7"


async def test_keeps_internal_text_inside(channel):
    error = await status_of(channel.unary_unary("/t/Break")(b""))
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "the server failed; its log has the cause")


async def test_refuses_unknown_methods(channel):
    error = await status_of(channel.unary_unary("/t/Nothing")(b"data"))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "there is no method /t/Nothing")


async def test_streams_both_ways_through_the_callers_windows(channel):
    call = channel.stream_stream("/t/Count")(iter([b"3", b"20"]))
    assert [len(message) async for message in call] == [100_000] * 23


async def test_a_caller_who_leaves_cancels_the_work(channel, service):
    call = channel.unary_unary("/t/Wait")(b"")
    await service.started.wait()
    call.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_a_connection_that_breaks_cancels_the_work(server, service):
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = channel.unary_unary("/t/Wait")(b"")
        await service.started.wait()
        for connection in list(server.connections):
            connection.abort()
        await asyncio.wait_for(service.cancelled.wait(), 5)
        await status_of(call)


async def test_draining_lets_calls_in_flight_end(server, channel, service):
    call = asyncio.ensure_future(invoke(channel.unary_unary("/t/Wait"), b"in flight"))
    await service.started.wait()
    stopping = asyncio.create_task(server.stop(10))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    service.release.set()
    assert await call == b"in flight"
    await asyncio.wait_for(stopping, 5)


async def test_draining_is_bounded(server, channel, service):
    call = asyncio.ensure_future(invoke(channel.unary_unary("/t/Wait"), b""))
    await service.started.wait()
    await asyncio.wait_for(server.stop(0.1), 5)
    assert (await status_of(call)).code() == grpc.StatusCode.UNAVAILABLE


async def test_tells_the_method_who_calls_and_how(channel, service):
    metadata = (("x-request-id", "mine"), ("Tenant".lower(), "a"), ("tenant", "b"), ("key-bin", b"\x00\xff"))
    await channel.unary_unary("/t/Echo")(b"x", metadata=metadata)
    (context,) = service.contexts
    assert (context.path, context.peer.split(":")[0], context.request_id) == ("/t/Echo", "127.0.0.1", "mine")
    assert context.metadata["tenant"] == "a,b"
    assert context.metadata["key-bin"] == "AP8"
    assert context.metadata["content-type"] == "application/grpc"
    assert ":path" not in context.metadata
    assert (context.deadline_s, context.is_cancelled) == (float("inf"), False)


async def test_makes_a_request_id_where_none_came(start, service):
    server = await start(service.methods(), new_request_id=lambda: "made here")
    async with grpc.aio.insecure_channel(server.address) as channel:
        error = await status_of(channel.unary_unary("/t/Nothing")(b""))
    assert dict(error.trailing_metadata())["x-request-id"] == "made here"


async def test_ends_a_call_at_its_deadline_and_its_method_too(channel, service):
    call = channel.unary_unary("/t/Wait")(b"", timeout=0.2)
    assert (await status_of(call)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_a_cancelled_call_says_so_to_its_method(channel, service):
    call = channel.unary_unary("/t/Wait")(b"")
    await service.started.wait()
    call.cancel()
    await asyncio.wait_for(service.cancelled.wait(), 5)
    assert service.contexts[0].is_cancelled


async def test_interceptors_see_every_call_and_its_end_in_their_order(start, service):
    seen = []

    def make_interceptor(name):
        async def intercept(context, proceed):
            seen.append((name, context.path))
            try:
                await proceed()
            except RefusedError as error:
                seen.append((name, type(error).__name__))
                raise CallError(GrpcStatus.ABORTED, f"{name}: {error}") from None
            except CallError as error:
                seen.append((name, str(error)))
                raise
            else:
                seen.append((name, "ok"))

        return intercept

    server = await start(service.methods(), interceptors=[make_interceptor("outer"), make_interceptor("inner")])
    async with grpc.aio.insecure_channel(server.address) as channel:
        await channel.unary_unary("/t/Echo")(b"x")
        error = await status_of(channel.unary_unary("/t/Nothing")(b""))
    assert seen == [
        ("outer", "/t/Echo"),
        ("inner", "/t/Echo"),
        ("inner", "ok"),
        ("outer", "ok"),
        ("outer", "/t/Nothing"),
        ("inner", "/t/Nothing"),
        ("inner", "UnknownMethodError"),
        ("outer", "inner: there is no method /t/Nothing"),
    ]
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "inner: there is no method /t/Nothing")


async def test_an_interceptor_refuses_a_call_before_its_method_runs(start, service):
    async def lock(context, proceed):
        if context.metadata.get("authorization") != "Bearer key":
            raise CallError(GrpcStatus.UNAUTHENTICATED, "who are you?")
        context.trailing_metadata.append((b"greeting", b"hello"))
        await proceed()

    server = await start(service.methods(), interceptors=[lock])
    async with grpc.aio.insecure_channel(server.address) as channel:
        echo = channel.unary_unary("/t/Echo")
        assert (await status_of(echo(b"x"))).code() == grpc.StatusCode.UNAUTHENTICATED
        assert service.contexts == []
        call = echo(b"x", metadata=(("authorization", "Bearer key"),))
        assert await call == b"x"
        assert dict(await call.trailing_metadata())["greeting"] == "hello"


async def test_relays_streams_of_large_and_small_messages(channel):
    sent = [bytes([number]) * size for number, size in enumerate([0, 1, 5_000_000, 3, 70_000, 2_000_000, 0, 9])]
    call = channel.stream_stream("/t/Relay")(iter(sent))
    assert [message async for message in call] == sent


async def test_a_caller_of_a_stream_sends_no_more_than_the_method_takes(server, channel, service):
    sent = 0

    async def send():
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield bytes(500_000)

    call = channel.stream_stream("/t/TakeSlowly")(send())
    await service.started.wait()
    await asyncio.sleep(0.3)
    assert service.num_taken == 1
    # A window at the server, and as much again on its way in gRPC's client and the kernel.
    assert server.buffers.received_bytes <= server.limits.stream_window_bytes
    assert sent < 20
    service.release.set()
    assert [message async for message in call] == [b"100"]
    assert server.buffers.received_bytes == 0


async def test_a_message_larger_than_the_windows_passes_through_a_stream(channel):
    call = channel.stream_stream("/t/Relay")(iter([bytes(LIMIT)]))
    assert [len(message) async for message in call] == [LIMIT]


async def test_a_stream_refuses_a_message_that_is_too_large(channel, server):
    call = channel.stream_stream("/t/Relay")(iter([b"fine", bytes(LIMIT + 1)]))
    assert await call.read() == b"fine"
    error = await status_of(call.read())
    assert (error.code(), error.details()) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"the message has {LIMIT + 1} bytes; at most {LIMIT} are taken",
    )
    assert server.buffers.received_bytes == 0


async def test_holds_no_more_of_unfinished_requests_than_it_may(start, service):
    server = await start(service.methods(), Limits(max_message_bytes=LIMIT, max_received_bytes=LIMIT))
    options = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        echo = channel.unary_unary("/t/Echo")
        sent = [bytes(LIMIT - 100)] * 4
        results = await asyncio.gather(*(invoke(echo, data) for data in sent), return_exceptions=True)
        refused = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
        assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "too many large requests" in refused[0].details()
        assert await echo(b"still here") == b"still here"
    assert server.buffers.received_bytes == 0


async def test_draining_refuses_new_calls_so_that_clients_send_them_elsewhere(server, channel, service):
    call = asyncio.ensure_future(invoke(channel.unary_unary("/t/Wait"), b"in flight"))
    await service.started.wait()
    stopping = asyncio.create_task(server.stop(10))
    await asyncio.sleep(0.2)
    error = await status_of(channel.unary_unary("/t/Echo")(b"late"))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    service.release.set()
    assert await call == b"in flight"
    await asyncio.wait_for(stopping, 5)


async def test_an_old_connection_gives_way_to_another_without_a_failed_call(service, start):
    server = await start(service.methods(), Limits(max_age_s=0.2))
    seen = set()
    async with grpc.aio.insecure_channel(server.address) as channel:
        waiting = asyncio.ensure_future(invoke(channel.unary_unary("/t/Wait"), b"older than its connection may be"))
        await service.started.wait()
        (first,) = server.connections
        echo = channel.unary_unary("/t/Echo")
        end_s = monotonic() + 1.0
        while monotonic() < end_s:
            assert await echo(b"x") == b"x"
            seen |= server.connections
        assert first in server.connections
        service.release.set()
        assert await waiting == b"older than its connection may be"
        await asyncio.sleep(0.5)  # without a call
        assert await echo(b"x") == b"x"
    assert len(seen) >= 4
    assert first not in server.connections


async def test_no_connection_is_too_old_by_default(server, channel):
    await channel.unary_unary("/t/Echo")(b"x")
    (connection,) = server.connections
    assert connection._age is None
