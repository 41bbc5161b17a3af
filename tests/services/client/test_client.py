import asyncio
import inspect
import threading
import time

import grpc
import numpy as np
import pytest

import services.client as package
from services.client import (
    AsyncClient,
    Client,
    ClientError,
    DeadlineError,
    NotReadyError,
    OverloadedError,
    ServerError,
    UnknownModelError,
)
from services.client.client import Operation, Operations


def test_infer_returns_arrays_by_name(server):
    with Client(server.url) as client:
        answer = client.infer("double", {"x": np.array([[1.5, 2], [3, 4]], np.float32)})
    np.testing.assert_array_equal(answer["y"], np.array([[3, 4], [6, 8]], np.float32))


async def test_async_client_answers_the_same(server):
    async with AsyncClient(server.url) as client:
        answers = await asyncio.gather(*(client.infer("double", {"x": np.array([k], np.int64)}) for k in range(20)))
    assert [int(answer["y"][0]) for answer in answers] == [2 * k for k in range(20)]


def test_request_carries_version_parameters_and_id(server):
    with Client(server.url) as client:
        client.infer("double", {"x": [1.0]}, version="3", parameters={"mode": "fast"}, outputs=("y",))
    request = server.requests[0]
    assert (request.model_version, request.parameters["mode"].string_param) == ("3", "fast")
    assert len(request.id) == 32


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [
        ("nothing", UnknownModelError, "NOT_FOUND"),
        ("busy", OverloadedError, "RESOURCE_EXHAUSTED"),
        ("broken", ServerError, "INTERNAL"),
    ],
)
def test_errors_carry_status_message_and_the_servers_request_id(server, model, kind, status):
    with Client(server.url) as client, pytest.raises(kind) as caught:
        client.infer(model, {"x": [1.0]})
    error = caught.value
    assert (type(error), error.status) == (kind, status)
    assert error.message == f"no model {model!r}; there are classifier and double"
    assert error.request_id == f"server-{server.requests[0].id}"
    assert str(error).endswith(f"[{status}, request {error.request_id}]")


async def test_async_errors_are_the_same(server):
    async with AsyncClient(server.url) as client:
        with pytest.raises(UnknownModelError, match="no model 'nothing'"):
            await client.infer("nothing", {"x": [1.0]})


def test_no_server_is_not_ready_and_says_what_to_do():
    with Client("127.0.0.1:1") as client, pytest.raises(NotReadyError, match=r"nothing answers at 127\.0\.0\.1:1"):
        client.infer("double", {"x": [1.0]})


def test_timeout_raises_deadline(server):
    with Client(server.url, timeout_s=0.2) as client:
        start_s = time.monotonic()
        with pytest.raises(DeadlineError):
            client.infer("slow", {"x": [1.0]})
    assert time.monotonic() - start_s < 5


async def test_timeout_of_one_call_wins_over_the_clients(server):
    async with AsyncClient(server.url, timeout_s=30) as client:
        with pytest.raises(DeadlineError):
            await client.infer("slow", {"x": [1.0]}, timeout_s=0.2)


def test_wait_ready_polls_until_the_model_is_ready(server):
    server.not_ready_answers = 2
    with Client(server.url) as client:
        client.wait_ready("double", timeout_s=10)
    assert server.not_ready_answers < 0


async def test_async_wait_ready_polls_too(server):
    server.not_ready_answers = 2
    async with AsyncClient(server.url) as client:
        await client.wait_ready(timeout_s=10)
    assert server.not_ready_answers < 0


def test_wait_ready_gives_up_with_the_last_answer(server):
    server.not_ready_answers = 1000
    with Client(server.url) as client, pytest.raises(DeadlineError, match=r"model double was not ready within 0\.5 s"):
        client.wait_ready("double", timeout_s=0.5)


def test_wait_ready_waits_for_a_server_that_is_not_there_yet():
    with Client("127.0.0.1:1") as client, pytest.raises(DeadlineError, match=r"nothing answers at 127\.0\.0\.1:1"):
        client.wait_ready(timeout_s=0.5)


def test_metadata_is_typed(server):
    with Client(server.url) as client:
        metadata = client.metadata("double")
    assert metadata.versions == ("1-int8", "1-eager")
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in metadata.inputs] == [("x", "FP32", (-1, 4))]


def test_threads_share_a_client(server):
    with Client(server.url) as client:
        found = {}

        def call(k):
            found[k] = int(client.infer("double", {"x": np.array([k])})["y"][0])

        threads = [threading.Thread(target=call, args=(k,)) for k in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {k: 2 * k for k in range(16)}


def test_large_arrays_pass_in_both_directions(server):
    array = np.random.default_rng(1).normal(size=(6, 1_000_000)).astype(np.float32)  # beyond gRPC's default of 4 MB
    with Client(server.url) as client:
        np.testing.assert_array_equal(client.infer("double", {"x": array})["y"], array * 2)


def test_every_operation_is_blocking_in_one_client_and_awaitable_in_the_other(server):
    names = [name for name, value in vars(Operations).items() if isinstance(value, Operation)]
    assert {"infer", "metadata", "is_ready", "wait_ready", "classify"} <= set(names)
    blocking = Client(server.url)
    with blocking:
        for name in names:
            assert inspect.signature(getattr(Client, name)) == inspect.signature(getattr(AsyncClient, name))
            assert getattr(blocking, name).__doc__


def test_exported_names_exist_and_errors_form_one_tree():
    for name in package.__all__:
        assert hasattr(package, name)
    errors = [getattr(package, name) for name in package.__all__ if name.endswith("Error")]
    assert all(issubclass(error, ClientError) for error in errors)


def test_closing_closes_the_channel(server):
    client = Client(server.url)
    client.close()
    with pytest.raises((ValueError, grpc.RpcError)):
        client.infer("double", {"x": [1.0]})
