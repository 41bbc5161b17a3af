"""Peers that only cost: what they make the server hold, and whether its other callers are served meanwhile.

The server runs in a process of its own, so that its memory is its own.
"""

import asyncio
import contextlib
import gzip
import multiprocessing
import socket

import grpc
import ngh2
import psutil
import pytest

from tests.services.grpc_server import attacked_server, wire
from tests.services.grpc_server.attacked_server import LIMIT
from tests.services.grpc_server.wire import Peer, frame

ENHANCE_YOUR_CALM = ngh2.ErrorCode.ENHANCE_YOUR_CALM
BOUND_BYTES = 64 << 20
WATCH_S = 0.02


class Attacked:
    """The server's address, what it holds in memory, and a neighbour who calls it all the time."""

    def __init__(self, address, process):
        self.address = address
        self._process = psutil.Process(process.pid)
        self._idle_bytes = self.memory_bytes()
        self.peak_bytes = 0
        self.num_served = 0

    def memory_bytes(self):
        return self._process.memory_info().rss

    async def accompany(self):
        """Call and watch until cancelled."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            echo = channel.unary_unary("/t/Echo")
            while True:
                assert await echo(b"neighbour", timeout=5) == b"neighbour"
                self.num_served += 1
                self.peak_bytes = max(self.peak_bytes, self.memory_bytes() - self._idle_bytes)
                await asyncio.sleep(WATCH_S)


@pytest.fixture(scope="module")
def process():
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("spawn").Process(target=attacked_server.run, args=(listener,), daemon=True)
    process.start()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(10)
        channel.unary_unary("/t/Echo")(b"warm")
    yield address, process
    process.kill()
    process.join()


@pytest.fixture
async def attacked(process):
    """A server with a neighbour; in the end it is within its bound, and the neighbour was served all along."""
    attacked = Attacked(*process)
    neighbour = asyncio.create_task(attacked.accompany())
    while attacked.num_served < 1:
        await asyncio.sleep(WATCH_S)
    before = attacked.num_served
    yield attacked
    served = attacked.num_served
    async with asyncio.timeout(10):
        while attacked.num_served < max(before, served) + 2:
            assert not neighbour.done(), neighbour.exception()
            await asyncio.sleep(WATCH_S)
    neighbour.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await neighbour
    assert attacked.peak_bytes <= BOUND_BYTES


@pytest.fixture
async def connect(attacked):
    peers = []

    async def connect(**initial):
        peers.append(await Peer.connect(attacked.address, **initial))
        return peers[-1]

    yield connect
    for peer in peers:
        peer.close()


async def flood(peer, data, size_bytes):
    """Send the same over and over, until so much is sent or the server ends it."""
    block = data * max(1, 65_536 // len(data))
    with contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(size_bytes // len(block)):
            peer.send(block)
            await asyncio.wait_for(peer.writer.drain(), 2)


async def is_cut_off(peer):
    """Say whether the server ended a connection because of too much; its last word may be lost with the rest."""
    try:
        code, ended = await peer.read_goaway()
    except (asyncio.IncompleteReadError, ConnectionError):
        return True
    return ended and code == ENHANCE_YOUR_CALM


async def test_rapid_reset(connect):
    peer = await connect()
    streams = range(1, 40_000, 2)
    calls = (wire.call(stream, b"/t/Wait", b"work") + wire.reset(stream) for stream in streams)
    with contextlib.suppress(ConnectionError):
        for number, call in enumerate(calls):
            peer.send(call)
            if number % 500 == 0:
                await peer.writer.drain()
    assert await is_cut_off(peer)


@pytest.mark.parametrize("kind", ["ping", "settings", "empty data", "priority update"])
async def test_floods_of_frames_that_bring_no_work(connect, kind):
    peer = await connect()
    peer.send(frame(wire.HEADERS, wire.END_HEADERS, 1, wire.call_head(b"/t/Echo")))
    data = {
        "ping": frame(wire.PING, 0, 0, b"12345678"),
        "settings": wire.settings(header_table_size=4096),
        "empty data": frame(wire.DATA, 0, 1),
        "priority update": frame(0x10, 0, 0, (1).to_bytes(4, "big") + b"u=1"),
    }[kind]
    await flood(peer, data, 4 << 20)
    assert await is_cut_off(peer)


@pytest.mark.parametrize("piece", [b"", b"\x00\x01a\x01b"], ids=["empty", "fields"])
async def test_continuations_without_end(connect, piece):
    peer = await connect()
    peer.send(frame(wire.HEADERS, 0, 1, wire.call_head(b"/t/Echo")))
    await flood(peer, frame(wire.CONTINUATION, 0, 1, piece * 2000), 8 << 20)
    assert await is_cut_off(peer)


async def test_a_header_bomb(connect):
    """One field of 4,000 bytes that HPACK remembers, then 15,000 times one byte that means it: 60 MB."""
    peer = await connect()
    value = b"x" * 4000
    remembered = b"\x40\x01a\x7f" + bytes([(len(value) - 127) & 0x7F | 0x80, (len(value) - 127) >> 7]) + value
    peer.send(frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, wire.call_head(b"/t/Echo") + remembered))
    assert (await peer.read_until(wire.HEADERS))[2] == 1
    peer.send(frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 3, wire.call_head(b"/t/Echo") + b"\xbe" * 15_000))
    assert await is_cut_off(peer)


async def test_header_bombs_within_the_limit_on_every_stream_at_once(connect, attacked):
    peer = await connect()
    fields = b"".join(wire.literal(b"a%d" % number, b"x" * 100) for number in range(90))
    for stream in range(1, 2 * 1000, 2):
        peer.send(frame(wire.HEADERS, wire.END_HEADERS, stream, wire.call_head(b"/t/Echo") + fields))
        await peer.writer.drain()
    # All are open now: none has been refused.
    peer.send(frame(wire.PING, 0, 0, bytes(8)))
    assert (await peer.read_until(wire.PING))[1] == wire.ACK
    await asyncio.sleep(3 * WATCH_S)
    assert attacked.peak_bytes > 4 << 20


async def test_zero_windows_with_large_answers(connect):
    """Each peer asks a thousand times for a megabyte and takes nothing."""
    peers = [await connect(initial_window_size=0) for _ in range(3)]
    for stream in range(1, 2 * 1000, 2):
        for peer in peers:
            peer.send(wire.call(stream, b"/t/Enlarge", b"1000000"))
    await asyncio.sleep(1.5)


async def test_zero_windows_of_many_peers(connect):
    """None of them holds much, all together do: the server ends those that do not move."""
    peers = [await connect(initial_window_size=0) for _ in range(30)]
    for peer in peers:
        for stream in (1, 3, 5):
            peer.send(wire.call(stream, b"/t/Enlarge", b"1000000"))
    ended = await asyncio.gather(*(is_cut_off_within(peer, 4) for peer in peers))
    assert any(ended)


async def is_cut_off_within(peer, time_s):
    try:
        async with asyncio.timeout(time_s):
            return await is_cut_off(peer)
    except TimeoutError:
        return False


async def test_a_stream_that_is_never_read(connect):
    peer = await connect()
    for stream in range(1, 200, 2):
        peer.send(frame(wire.HEADERS, wire.END_HEADERS, stream, wire.call_head(b"/t/EnlargeAll")))
        peer.send(frame(wire.DATA, wire.END_STREAM, stream, wire.message(b"100000")))
    await asyncio.sleep(1)


async def test_a_socket_that_is_never_read(connect):
    """Windows as wide as can be, but nobody takes bytes from the socket."""
    peer = await connect(initial_window_size=2**31 - 1)
    peer.writer.transport.pause_reading()
    peer.send(wire.window_update(0, 2**31 - 1 - 65_535))
    for stream in range(1, 200, 2):
        peer.send(frame(wire.HEADERS, wire.END_HEADERS, stream, wire.call_head(b"/t/EnlargeAll")))
        peer.send(frame(wire.DATA, wire.END_STREAM, stream, wire.message(b"100000")))
    await flood(peer, frame(wire.PING, 0, 0, b"12345678"), 1 << 20)
    await asyncio.sleep(1)


async def test_messages_that_the_method_does_not_take(connect):
    peers = [await connect() for _ in range(2)]
    piece = frame(wire.DATA, 0, 1, wire.message(bytes(16_000)))
    for peer in peers:
        peer.send(frame(wire.HEADERS, wire.END_HEADERS, 1, wire.call_head(b"/t/TakeOne")))
        peer.send(piece * 60)
    await asyncio.sleep(0.3)


async def test_tiny_messages_that_the_method_does_not_take(connect):
    """A window full of empty messages of five bytes, each on many streams."""
    peer = await connect()
    for stream in range(1, 20, 2):
        peer.send(frame(wire.HEADERS, wire.END_HEADERS, stream, wire.call_head(b"/t/TakeOne")))
        for _ in range(60):
            peer.send(frame(wire.DATA, 0, stream, bytes(5) * 3200))
        await peer.writer.drain()
    await asyncio.sleep(0.5)


async def test_a_large_message_in_pieces_of_one_byte(connect):
    peer = await connect()
    peer.send(frame(wire.HEADERS, wire.END_HEADERS, 1, wire.call_head(b"/t/Echo")))
    peer.send(frame(wire.DATA, 0, 1, LIMIT.to_bytes(5, "big")))
    await flood(peer, frame(wire.DATA, 0, 1, b"x"), 4 << 20)
    await asyncio.sleep(3 * WATCH_S)


async def test_compressed_bombs(connect):
    peer = await connect()
    encoded = wire.call_head(b"/t/Echo", (b"grpc-encoding", b"gzip"))
    bomb = gzip.compress(bytes(2 * LIMIT), 1)
    for stream in range(1, 20, 2):
        peer.send(frame(wire.HEADERS, wire.END_HEADERS, stream, encoded))
        body = b"\x01" + len(bomb).to_bytes(4, "big") + bomb
        for start in range(0, len(body), 16_384):
            last = wire.END_STREAM if start + 16_384 >= len(body) else 0
            peer.send(frame(wire.DATA, last, stream, body[start : start + 16_384]))
        await peer.writer.drain()
        assert (await peer.read_until(wire.HEADERS))[1] & wire.END_STREAM
