"""Our HTTP/2 against gRPC's own client, and against peers that break the protocol."""

import asyncio
import socket

import grpc
import hpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.http2 import frames
from services.gateway.http2.frames import frame
from services.gateway.http2.server import Http2Server, Streaming, Unary
from services.gateway.http2.status import CallError, GrpcStatus

LIMIT = 8 << 20
HEADERS = [(":method", "POST"), (":scheme", "http"), (":path", "/t/Echo"), ("content-type", "application/grpc")]


class Service:
    """Methods for the tests, and what happened to them."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.heads = []

    async def echo(self, data, head):
        self.heads.append(head)
        return data

    async def wait(self, data, head):
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return data

    async def refuse(self, data, head):
        raise CallError(GrpcStatus.INVALID_ARGUMENT, "no: 100 % größer\nthan allowed", "id-7")

    async def break_down(self, data, head):
        raise ZeroDivisionError("internal text")

    async def count(self, messages):
        async for message in messages:
            for _ in range(int(message)):
                yield b"x" * 100_000


@pytest.fixture
async def service():
    return Service()


@pytest.fixture
async def server(service):
    methods = {
        "/t/Echo": Unary(service.echo),
        "/t/Wait": Unary(service.wait),
        "/t/Refuse": Unary(service.refuse),
        "/t/Break": Unary(service.break_down),
        "/t/Count": Streaming(service.count),
    }
    server = Http2Server(methods, max_message_bytes=LIMIT, max_buffered_bytes=2 * LIMIT)
    listener = socket.create_server(("127.0.0.1", 0))
    server.address = f"127.0.0.1:{listener.getsockname()[1]}"
    await server.start(listener)
    yield server
    await server.stop(0)


@pytest.fixture
async def channel(server):
    options = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        yield channel


async def status_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 70_000, 5_000_000])
async def test_echoes_messages_of_any_size(channel, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert await channel.unary_unary("/t/Echo")(data) == data


async def test_answers_many_calls_at_once_in_their_own_streams(channel):
    echo = channel.unary_unary("/t/Echo")
    sent = [f"{number}".encode() * (number * 37) for number in range(300)]
    assert await asyncio.gather(*(echo(data) for data in sent)) == sent


async def test_reads_headers_that_change_with_every_call(channel, service):
    echo = channel.unary_unary("/t/Echo")
    for number in range(200):
        assert await echo(b"x", metadata=(("x-request-id", f"id-{number}"),), timeout=5 + number) == b"x"
    assert [head.request_id for head in service.heads] == [f"id-{number}" for number in range(200)]
    # gRPC rounds timeouts up to three digits.
    assert all(4 < head.timeout_s <= 1.01 * (5 + number) for number, head in enumerate(service.heads))


async def test_takes_compressed_messages_and_refuses_bombs(channel):
    echo = channel.unary_unary("/t/Echo")
    assert await echo(b"a" * 100_000, compression=grpc.Compression.Gzip) == b"a" * 100_000
    assert await echo(b"b" * 100_000, compression=grpc.Compression.Deflate) == b"b" * 100_000
    bomb = await status_of(echo(bytes(LIMIT + 1), compression=grpc.Compression.Gzip))
    assert bomb.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_refuses_a_large_message_before_it_has_come_and_keeps_the_connection(channel):
    echo = channel.unary_unary("/t/Echo")
    neighbour = asyncio.ensure_future(_call(echo, bytes(1_000_000)))
    error = await status_of(echo(bytes(100_000_000)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details().startswith(f"the message has 100000000 bytes; at most {LIMIT} are taken: send fewer rows")
    assert len(await neighbour) == 1_000_000
    assert await echo(b"still here") == b"still here"


async def _call(method, data):
    return await method(data)


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
    call = asyncio.ensure_future(_call(channel.unary_unary("/t/Wait"), b"in flight"))
    await service.started.wait()
    stopping = asyncio.create_task(server.stop(10))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    service.release.set()
    assert await call == b"in flight"
    await asyncio.wait_for(stopping, 5)


async def test_draining_is_bounded(server, channel, service):
    call = asyncio.ensure_future(_call(channel.unary_unary("/t/Wait"), b""))
    await service.started.wait()
    await asyncio.wait_for(server.stop(0.1), 5)
    assert (await status_of(call)).code() == grpc.StatusCode.UNAVAILABLE


# Below gRPC's client: frames by hand


class RawPeer:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()

    async def read_frame(self):
        head = await asyncio.wait_for(self.reader.readexactly(frames.FRAME_HEAD_SIZE), 5)
        high, low, kind, flags, number = frames.FRAME_HEAD.unpack(head)
        return kind, flags, number, await self.reader.readexactly(high << 8 | low)

    async def read_until(self, kind):
        while (found := await self.read_frame())[0] != kind:
            pass
        return found

    def send(self, *parts):
        self.writer.write(b"".join(parts))


@pytest.fixture
async def peer(server):
    host, port = server.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    peer = RawPeer(reader, writer)
    peer.send(frames.PREFACE, frames.settings_frame(()))
    yield peer
    writer.close()


async def test_reads_padding_priorities_continuations_and_frames_in_pieces(peer):
    block = peer.encoder.encode(HEADERS)
    start = frame(frames.HEADERS, frames.PADDED | frames.WITH_PRIORITY, 1, b"\x02" + bytes(5) + block[:10] + b"\0\0")
    rest = frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[10:])
    data = frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x03" + b"\0\0\0\0\x02hi" + bytes(3))
    for byte in start + rest + data:
        peer.send(bytes((byte,)))
        await peer.writer.drain()
        await asyncio.sleep(0)
    assert (await peer.read_until(frames.DATA))[3] == b"\0\0\0\0\x02hi"
    trailers = peer.decoder.decode((await peer.read_until(frames.HEADERS))[3])
    assert ("grpc-status", "0") in [tuple(item) for item in trailers]


async def test_sends_no_more_than_the_peers_windows_allow(peer):
    peer.send(frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 10)]))
    message = b"\0\0\0\0\x14" + bytes(range(20))
    peer.send(frame(frames.HEADERS, frames.END_HEADERS, 1, peer.encoder.encode(HEADERS)))
    peer.send(frame(frames.DATA, frames.END_STREAM, 1, message))
    assert (await peer.read_until(frames.DATA))[3] == message[:10]
    peer.send(frames.window_update_frame(1, 4))
    assert (await peer.read_until(frames.DATA))[3] == message[10:14]
    peer.send(frames.window_update_frame(1, 1000))
    assert (await peer.read_until(frames.DATA))[3] == message[14:]
    assert (await peer.read_until(frames.HEADERS))[1] & frames.END_STREAM


async def test_answers_pings(peer):
    peer.send(frame(frames.PING, 0, 0, b"12345678"))
    assert await peer.read_until(frames.PING) == (frames.PING, frames.ACK, 0, b"12345678")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(frames.PUSH_PROMISE, 0, 1), frames.ErrorCode.PROTOCOL_ERROR),
        (frame(frames.DATA, 0, 1, b"x"), frames.ErrorCode.PROTOCOL_ERROR),
        (frame(frames.HEADERS, frames.END_HEADERS, 2, b"\x82"), frames.ErrorCode.PROTOCOL_ERROR),
        (frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff"), frames.ErrorCode.COMPRESSION_ERROR),
        (frame(frames.HEADERS, frames.PADDED, 1, b"\x09abc"), frames.ErrorCode.PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1) + frame(frames.PING, 0, 0, bytes(8)), frames.ErrorCode.PROTOCOL_ERROR),
        (frame(frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), frames.ErrorCode.FLOW_CONTROL_ERROR),
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", frames.ErrorCode.FRAME_SIZE_ERROR),
        (
            frame(frames.HEADERS, 0, 1) + b"".join(frame(frames.CONTINUATION, 0, 1, bytes(16_000)) for _ in range(4)),
            frames.ErrorCode.ENHANCE_YOUR_CALM,
        ),
    ],
)
async def test_ends_the_connection_of_a_peer_that_breaks_the_protocol(peer, data, code):
    peer.send(data)
    payload = (await peer.read_until(frames.GOAWAY))[3]
    assert int.from_bytes(payload[4:8], "big") == code
    assert await asyncio.wait_for(peer.reader.read(), 5) == b""


async def test_tells_a_browser_that_this_port_speaks_grpc(server):
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await reader.read()).endswith(b"This port speaks gRPC.\n")
    writer.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), kind=st.integers(0, 12), flags=st.integers(0, 255), number=st.integers(0, 5))
async def test_no_bytes_break_the_server(server, noise, kind, flags, number):
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(frames.PREFACE + frames.settings_frame(()) + frame(kind, flags, number, noise) + noise)
    writer.write_eof()
    await asyncio.wait_for(reader.read(), 5)
    writer.close()
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert await channel.unary_unary("/t/Echo")(b"alive") == b"alive"
