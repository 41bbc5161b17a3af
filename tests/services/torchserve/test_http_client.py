import asyncio

import pytest

from services.torchserve.http_client import ConnectionLostError, HttpAnswer, HttpClient


@pytest.fixture
async def serve(tmp_path):
    """Answer each connection by a coroutine of the test's; everything is closed after it."""
    servers, clients, connections = [], [], set()

    async def start(answer):
        async def answer_and_close(reader, writer):
            connections.add(asyncio.current_task())
            try:
                await answer(reader, writer)
            except (asyncio.CancelledError, asyncio.IncompleteReadError):  # the test has ended, or its client has left
                pass
            finally:
                writer.close()

        path = tmp_path / "socket"
        servers.append(await asyncio.start_unix_server(answer_and_close, path))
        clients.append(HttpClient(path))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for server in servers:
        server.close()
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await asyncio.sleep(0)  # transports close in the next turn


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(size)


async def test_reads_answers_in_pieces_and_reuses_the_connection(serve):
    connections = []

    async def answer(reader, writer):
        connections.append(writer)
        while True:
            _, body = await read_request(reader)
            for piece in (
                b"HTTP/1.1 200 OK\r\nContent-",
                b"Length: %d\r\nx: y\r\n\r\n" % len(body),
                body[:3],
                body[3:],
            ):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)

    client = await serve(answer)
    for body in (b"hello", b"x" * 1_000_000, b""):
        assert await client.request("POST", "/p", body) == HttpAnswer(200, body)
    assert len(connections) == 1
    client.close()


async def test_opens_another_connection_after_one_that_closes(serve):
    async def answer(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 500 Error\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
        writer.close()

    client = await serve(answer)
    for _ in range(2):
        assert await client.request("POST", "/p", b"x") == HttpAnswer(500, b"no")


async def test_reports_a_connection_lost_before_the_answer(serve):
    async def answer(reader, writer):
        await read_request(reader)
        writer.close()

    client = await serve(answer)
    with pytest.raises(ConnectionLostError):
        await client.request("POST", "/p", b"x")


async def test_gives_up_after_the_timeout(serve):
    async def answer(reader, writer):
        await reader.read()

    client = await serve(answer)
    with pytest.raises(TimeoutError, match=r"no answer to POST /p within 0\.05 s"):
        await client.request("POST", "/p", b"x", timeout_s=0.05)


async def test_reports_a_server_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        await HttpClient(tmp_path / "socket").request("GET", "/")
