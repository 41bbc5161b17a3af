"""The REST face in this process, on a real socket."""

import asyncio
import json
import socket
import time
from functools import partial

import httpx
import pytest

from services.gateway.http_protocol import MAX_HEAD_BYTES
from services.gateway.http_server import HttpServer, open_port
from services.gateway.rest import make_app
from services.gateway.rest_refusals import note_refusal

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
INFER = "/v2/models/double/infer"


@pytest.fixture
async def address(gateway):
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(make_app(gateway), listener, note_refusal=partial(note_refusal, gateway))
    server.start()
    yield f"127.0.0.1:{server.port}"
    await server.stop(0)


@pytest.fixture
async def client(address):
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        yield client


def count(gateway, name, **labels):
    return gateway.metrics.registry.get_sample_value(name, {"model": "double", "version": "3-eager", **labels})


async def test_headers_address_and_protocol_reach_the_core(client, seen):
    answer = await client.post(INFER, json=BODY, headers={"Tenant": "blue"})
    assert answer.status_code == 200
    caller = seen[0].caller
    assert (seen[0].protocol, caller.peer.split(":")[0], caller.metadata["tenant"]) == ("http", "127.0.0.1", "blue")


@pytest.mark.parametrize("path", [INFER, "/v1/double"])
async def test_an_answer_names_what_it_is_from_where_a_header_asks(client, path):
    body = BODY if path == INFER else {"inputs": {"x": [[1, 2]]}}
    plain = await client.post(path, json=body)
    asked = await client.post(path, json=body, headers={"millrace-provenance": "yes"})
    assert [answer.headers.get("millrace-variant") for answer in (plain, asked)] == [None, "eager"]
    assert asked.headers["millrace-release-digest"] == ""


async def test_the_first_page_names_the_port_that_grpc_has(gateway):
    transport = httpx.ASGITransport(make_app(gateway, grpc_port=9123))
    async with httpx.AsyncClient(transport=transport, base_url="https://h:9122") as client:
        (model,) = (await client.get("/")).json()["models"]
    curl, infer = model["try"]
    assert curl.startswith("curl https://h:9122/")
    assert infer.endswith("--url https://h:9123")


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("DELETE", INFER, {}, 405),
        ("POST", "/v2/models/no/infer", {"json": BODY}, 404),
        ("POST", INFER, {"content": b"{"}, 400),
        ("POST", INFER, {"content": bytes(2**20 + 1)}, 413),
        ("POST", INFER, {"content": b"x", "headers": {"content-encoding": "gzip"}}, 415),
    ],
)
async def test_every_refusal_says_why_and_carries_a_request_id(client, method, path, options, status):
    answer = await client.request(method, path, **options)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert answer.json()["request"] == answer.headers["x-request-id"] != ""


@pytest.mark.parametrize(
    ("request_id", "header"), [("two\r\nlines: x", "two??lines: x"), ("é日", "é?"), (500 * "a", 128 * "a")]
)
async def test_an_id_that_no_header_can_hold_comes_back_whole_in_the_body(client, request_id, header):
    answer = await client.post(INFER, json=BODY | {"id": request_id})
    assert (answer.status_code, answer.json()["id"]) == (200, request_id)
    given = dict(answer.headers.raw)[b"x-request-id"]
    assert given.decode("latin-1") == header


async def test_a_caller_who_leaves_takes_its_request_out_of_the_queue(address, client, backend, gateway):
    backend.gate.clear()
    first = asyncio.create_task(client.post(INFER, json=BODY))
    while not backend.batches:
        await asyncio.sleep(0.01)
    _, writer = await asyncio.open_connection(*address.split(":"))
    body = json.dumps(BODY).encode()
    writer.write(b"POST %s HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % (INFER.encode(), len(body)) + body)
    while count(gateway, "millrace_waiting_rows") != 1:
        await asyncio.sleep(0.01)
    writer.close()
    while count(gateway, "millrace_waiting_rows"):
        await asyncio.sleep(0.01)
    backend.gate.set()
    assert (await first).status_code == 200
    assert len(backend.batches) == 1
    assert count(gateway, "millrace_requests_total", protocol="http", outcome="cancelled") == 1


async def test_answers_are_not_held_back_for_more_to_send(gateway):
    server = HttpServer(make_app(gateway), open_port("127.0.0.1", 0, "http_port"))
    server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        times_s = []
        for _ in range(10):
            started_s = time.monotonic()
            await client.post(INFER, json=BODY)
            times_s.append(time.monotonic() - started_s)
    await server.stop(0)
    assert min(times_s) < 0.03  # Nagle's algorithm and delayed acknowledgements together take 40 ms each time


async def send_raw(address, *pieces):
    """Send bytes as they are; returns status, headers and body of the first answer, after which nothing may come."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.05)  # read by itself
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ") for line in lines), body


ENDLESS = b"a" * (MAX_HEAD_BYTES + 1)  # no more: what a closed socket was sent besides would reset the connection


TOO_LARGE = "the head is larger than 65536 bytes"


@pytest.mark.parametrize(
    ("pieces", "status", "words"),
    [
        ([b"NONSENSE\r\n\r\n"], 400, "this is no request of HTTP/1.1: Invalid method"),
        ([b"GET /\xff HTTP/1.1\r\n\r\n"], 400, "this is no request of HTTP/1.1: "),
        ([b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"], 400, "Content-Length"),
        ([b"POST %s HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nX\r\n" % INFER.encode()], 400, "chunk size"),
        ([b"GET / HTTP/1.1\r\nx: ", ENDLESS], 431, TOO_LARGE),
        ([b"GET /", ENDLESS], 431, TOO_LARGE),
        (
            [b"POST %s HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: " % INFER.encode(), ENDLESS],
            431,
            TOO_LARGE,
        ),
    ],
    ids=["method", "path", "length", "chunk", "header", "url", "trailer"],
)
async def test_what_is_no_http_is_refused_as_all_else_is(address, gateway, pieces, status, words):
    found, headers, body = await send_raw(address, *pieces)
    assert (found, words in json.loads(body)["error"]) == (status, True), body
    assert json.loads(body)["request"] == headers["x-request-id"] != ""
    assert headers["connection"] == "close"
    labels = {"model": "", "version": "", "protocol": "http", "outcome": "invalid"}
    assert gateway.metrics.registry.get_sample_value("millrace_requests_total", labels) == 1
    (kept,) = gateway.journal.recent_errors
    assert (kept.request, kept.why) == (headers["x-request-id"], json.loads(body)["error"])


async def test_a_large_body_behind_another_request_is_no_large_head(address, gateway):
    reader, writer = await asyncio.open_connection(*address.split(":"))
    body = json.dumps(BODY).encode().ljust(2**19)
    request = b"POST %s HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (INFER.encode(), len(body)) + body
    writer.write(request + request + request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
    answers = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answers.count(b"HTTP/1.1 200 OK") == 3
