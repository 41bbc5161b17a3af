"""Below gRPC's client: frames by hand, well-formed in unusual ways and broken."""

import asyncio

import grpc
import ngh2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.grpc_server.connection import Connection
from tests.services.grpc_server import wire
from tests.services.grpc_server.wire import Peer, frame

CODE = ngh2.ErrorCode
ECHO = b"/t/Echo"


@pytest.fixture
async def peer(server):
    peer = await Peer.connect(server.address)
    yield peer
    peer.close()


async def test_reads_padding_priorities_continuations_and_frames_in_pieces(peer):
    block = wire.call_head(ECHO)
    flags = wire.PADDED | wire.WITH_PRIORITY
    start = frame(wire.HEADERS, flags, 1, b"\x02" + bytes(5) + block[:10] + b"\0\0")
    rest = frame(wire.CONTINUATION, wire.END_HEADERS, 1, block[10:])
    data = frame(wire.DATA, wire.PADDED | wire.END_STREAM, 1, b"\x03" + wire.message(b"hi") + bytes(3))
    for byte in start + rest + data:
        peer.send(bytes((byte,)))
        await peer.writer.drain()
        await asyncio.sleep(0)
    assert (await peer.read_until(wire.DATA))[3] == wire.message(b"hi")
    assert (await peer.read_until(wire.HEADERS))[1] & wire.END_STREAM


async def test_reads_a_message_whose_every_byte_is_a_frame(peer):
    data = wire.message(b"byte by byte")
    peer.send(wire.call(1, ECHO), *(frame(wire.DATA, 0, 1, bytes((byte,))) for byte in data))
    peer.send(frame(wire.DATA, wire.END_STREAM, 1))
    assert (await peer.read_until(wire.DATA))[3] == data


async def test_sends_no_more_than_the_peers_windows_allow(peer):
    peer.send(wire.settings(initial_window_size=10))
    message = wire.message(bytes(range(20)))
    peer.send(wire.call(1, ECHO, bytes(range(20))))
    assert (await peer.read_until(wire.DATA))[3] == message[:10]
    peer.send(wire.window_update(1, 4))
    assert (await peer.read_until(wire.DATA))[3] == message[10:14]
    peer.send(wire.window_update(1, 1000))
    assert (await peer.read_until(wire.DATA))[3] == message[14:]
    assert (await peer.read_until(wire.HEADERS))[1] & wire.END_STREAM


async def test_opens_the_window_only_as_the_method_takes_what_came(peer, service, server):
    piece = wire.message(bytes(16_379))
    peer.send(frame(wire.HEADERS, wire.END_HEADERS, 1, wire.call_head(b"/t/TakeSlowly")))
    num_pieces = server.limits.stream_window_bytes // len(piece)
    peer.send(frame(wire.DATA, 0, 1, piece))
    await service.started.wait()
    peer.send(*(frame(wire.DATA, 0, 1, piece) for _ in range(num_pieces - 1)))
    await asyncio.sleep(0.2)
    assert service.num_taken == 1
    # What comes before this pong was sent before the method went on.
    peer.send(frame(wire.PING, 0, 0, bytes(8)))
    updated = []
    while (found := await peer.read_frame())[0] != wire.PING:
        updated += [found[2]] if found[0] == wire.WINDOW_UPDATE else []
    assert 1 not in updated
    service.release.set()
    while (found := await peer.read_until(wire.WINDOW_UPDATE))[2] != 1:
        pass


async def test_answers_pings(peer):
    peer.send(frame(wire.PING, 0, 0, b"12345678"))
    assert await peer.read_until(wire.PING) == (wire.PING, wire.ACK, 0, b"12345678")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", b"no message"),
        (wire.message(b"one") + wire.message(b"two"), b"16 bytes, which are not one message"),
        (wire.message(b"truncated")[:-1], b"13 bytes, which are not one message"),
        (b"\0\0", b"2 bytes, which are not one message"),
        (b"\x01" + wire.message(b"zip")[1:], b"compressed by identity"),
    ],
)
async def test_refuses_calls_that_do_not_carry_one_message(server, data, words):
    client = ngh2.Connection(ngh2.Role.CLIENT)
    client.initiate_connection()
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"t"),
        (b":path", ECHO),
        (b"content-type", b"application/grpc"),
    ]
    stream = client.send_request(fields, end_stream=not data)
    if data:
        client.send_data(stream, data, end_stream=True)
    (answer,) = await _exchange(client, server)
    trailers = dict(answer.headers)
    assert trailers[b"grpc-status"] in (b"12", b"13")
    assert words in trailers[b"grpc-message"]
    assert len(trailers[b"x-request-id"]) == 32


async def test_tells_http2_clients_that_speak_no_grpc_so_in_their_own_terms(server):
    client = ngh2.Connection(ngh2.Role.CLIENT)
    client.initiate_connection()
    fields = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"t"),
        (b":path", b"/"),
        (b"accept", b"text/html"),
    ]
    client.send_request(fields, end_stream=True)
    (answer,) = await _exchange(client, server)
    assert answer.headers[0] == (b":status", b"415")
    assert dict(answer.headers)[b"grpc-message"] == b"content-type is ''; this port takes application/grpc"


async def _exchange(client, server):
    """Send what a client has to send; return the first responses that come back."""
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(client.data_to_send())
    while True:
        client.receive_data(await asyncio.wait_for(reader.read(65_536), 5))
        answers = [event for event in client.events() if isinstance(event, ngh2.ResponseReceived)]
        if answers:
            writer.close()
            return answers


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(wire.PUSH_PROMISE, 0, 1), CODE.FRAME_SIZE_ERROR),
        (frame(wire.DATA, 0, 1, b"x"), CODE.PROTOCOL_ERROR),
        (frame(wire.HEADERS, wire.END_HEADERS, 2, b"\x82"), CODE.PROTOCOL_ERROR),
        (frame(wire.HEADERS, wire.END_HEADERS, 1, b"\xff\xff\xff\xff\xff"), CODE.COMPRESSION_ERROR),
        (frame(wire.HEADERS, wire.PADDED, 1, b"\x09abc"), CODE.PROTOCOL_ERROR),
        (frame(wire.HEADERS, 0, 1) + frame(wire.PING, 0, 0, bytes(8)), CODE.PROTOCOL_ERROR),
        (wire.window_update(0, 0x7FFFFFFF), CODE.FLOW_CONTROL_ERROR),
        (b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", CODE.FRAME_SIZE_ERROR),
    ],
)
async def test_ends_the_connection_of_a_peer_that_breaks_the_protocol(peer, data, code):
    peer.send(data)
    assert await peer.read_goaway() == (code, True)


async def test_tells_a_browser_that_this_port_speaks_grpc(server):
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await reader.read()).endswith(b"This port speaks gRPC.\n")
    writer.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), kind=st.integers(0, 12), flags=st.integers(0, 255), number=st.integers(0, 5))
async def test_no_bytes_break_the_server(server, noise, kind, flags, number):
    reader, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(wire.PREFACE + wire.settings() + frame(kind, flags, number, noise) + noise)
    writer.write_eof()
    await asyncio.wait_for(reader.read(), 5)
    writer.close()
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert await channel.unary_unary("/t/Echo")(b"alive") == b"alive"


async def test_a_peer_that_takes_nothing_costs_nothing(server, monkeypatch):
    flushes = []
    flush = Connection.flush
    monkeypatch.setattr(Connection, "flush", lambda connection: (flushes.append(connection), flush(connection)))
    peer = await Peer.connect(server.address, initial_window_size=0)
    peer.send(wire.call(1, b"/t/Echo", b"unread"))
    await peer.read_until(wire.HEADERS)
    flushes.clear()
    await asyncio.sleep(0.1)
    assert len(flushes) <= 1
    peer.send(wire.window_update(1, 100))
    assert (await peer.read_until(wire.DATA))[3] == wire.message(b"unread")
    peer.close()
