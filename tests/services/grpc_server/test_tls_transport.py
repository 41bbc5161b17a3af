"""An echo behind TLS, asked by asyncio's own client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl

import pytest

from services.grpc_server import tls_transport
from services.grpc_server.tls_transport import secure
from tests.certificates import write_certificate


class Echo(asyncio.Protocol):
    """Answers what comes, and keeps what it is told."""

    def __init__(self, told):
        self.told = told

    def connection_made(self, transport):
        self.transport = transport
        self.told.append(transport)

    def data_received(self, data):
        if data == b"leave":
            self.transport.close()
            self.transport.write(b"nobody hears this")
        self.transport.write(data)

    def eof_received(self):
        self.told.append("eof")

    def connection_lost(self, error):
        self.told.append("lost")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def echo(certificate):
    """The port of a server, and what its protocols were told."""
    told = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.get_running_loop().create_server(secure(lambda: Echo(told), context), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], told
    server.close()
    await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def connect(port, certificate, version=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=certificate[0])
    context.maximum_version = version
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    yield reader, writer
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_bytes_of_any_number_come_back(echo, certificate, version):
    port, told = echo
    async with connect(port, certificate, version) as (reader, writer):
        for size in (1, 16_384, 16_385, 1_000_000):
            data = bytes(range(256)) * (size // 256) + bytes(size % 256)
            writer.write(data)
            assert await reader.readexactly(size) == data
        assert told[0].get_extra_info("ssl_object").version() == version.name.replace("_", ".")
        assert told[0].get_extra_info("sslcontext") is not None
        assert told[0].get_extra_info("peername")[0] == "127.0.0.1"


async def test_a_peer_that_says_goodbye_ends_the_connection(echo, certificate):
    port, told = echo
    async with connect(port, certificate) as (reader, writer):
        writer.write(b"x")
        await reader.readexactly(1)
    async with asyncio.timeout(5):
        while told[-1] != "lost":
            await asyncio.sleep(0.001)
    assert told[1:] == ["eof", "lost"]
    assert told[0].is_closing()


async def test_a_server_that_leaves_says_goodbye_and_nothing_after_it(echo, certificate):
    port, told = echo
    async with connect(port, certificate) as (reader, writer):
        writer.write(b"leave")
        assert await reader.read() == b""
    assert told[-1] == "lost"


async def test_who_speaks_no_tls_reaches_nobody(echo):
    port, told = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer[:1] in (b"", b"\x15")  # an alert
    assert told == []


async def test_damaged_records_cut_the_connection(echo, certificate):
    port, told = echo
    async with connect(port, certificate) as (reader, writer):
        writer.write(b"x")
        await reader.readexactly(1)
        os.write(writer.transport.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x05wrong")
        with contextlib.suppress(OSError):
            await reader.read()
    assert told[-1] == "lost"


async def test_who_never_shakes_hands_is_cut_off(echo, certificate, monkeypatch):
    monkeypatch.setattr(tls_transport, "_HANDSHAKE_S", 0.05)
    port, told = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    assert told == []


async def test_writing_stops_while_a_peer_does_not_read(certificate):
    paused = asyncio.Event()

    class Flood(Echo):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.set_write_buffer_limits(1000)
            transport.write(bytes(20_000_000))
            assert transport.get_write_buffer_size() > 1000

        def pause_writing(self):
            paused.set()

        def resume_writing(self):
            self.told.append("resumed")

    told = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = await asyncio.get_running_loop().create_server(secure(lambda: Flood(told), context), "127.0.0.1", 0)
    async with connect(server.sockets[0].getsockname()[1], certificate) as (reader, _):
        await asyncio.wait_for(paused.wait(), 5)
        assert "resumed" not in told
        assert len(await reader.readexactly(20_000_000)) == 20_000_000
        assert "resumed" in told
    server.close()
    await asyncio.sleep(0.01)
