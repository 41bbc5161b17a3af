"""The REST face in this process, on a real socket."""

import asyncio
import json
import socket
import time

import httpx
import pytest

from services.gateway.http_server import HttpServer, open_port
from services.gateway.rest import make_app

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
INFER = "/v2/models/double/infer"


@pytest.fixture
async def address(gateway):
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(make_app(gateway), listener)
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
