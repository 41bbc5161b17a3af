"""The gRPC face in this process: what reaches the core, and how refusals of every kind leave."""

import asyncio
import socket

import grpc
import httpx
import numpy as np
import pytest

from model_store.open_inference import messages
from services.client import AsyncClient, BadRequestError
from services.gateway.errors import GatewayError
from services.gateway.grpc import GrpcServer
from services.gateway.grpc_errors import _REFUSALS
from services.grpc_server.errors import MethodBrokeError, RefusedError, ScreenedError

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
async def address(gateway):
    listener = socket.create_server(("127.0.0.1", 0))
    server = GrpcServer(gateway, listener)
    await server.start()
    yield f"127.0.0.1:{server.port}"
    await server.stop(0)


@pytest.fixture
async def channel(address):
    async with grpc.aio.insecure_channel(address, (("grpc.max_send_message_length", -1),)) as channel:
        yield channel


def make_request(request_id="", num_rows=1, model="double"):
    request = messages().ModelInferRequest(model_name=model, id=request_id)
    request.inputs.add(name="x", datatype="FP32", shape=[num_rows, 2])
    request.raw_input_contents.append(np.ones((num_rows, 2), np.float32).tobytes())
    return request.SerializeToString()


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    request_id = dict(error.trailing_metadata())["x-request-id"]
    assert error.details().endswith(f" (request {request_id})")
    return error.code().name, error.details().removesuffix(f" (request {request_id})"), request_id


async def test_metadata_address_and_protocol_reach_the_core(channel, seen):
    await channel.unary_unary(METHOD)(make_request(), metadata=(("tenant", "blue"), ("x-request-id", "mine")))
    (request,) = seen
    assert (request.protocol, request.caller.peer.split(":")[0]) == ("grpc", "127.0.0.1")
    assert request.caller.metadata["tenant"] == "blue"
    assert request.id == "mine"


async def test_the_id_inside_a_request_wins_over_the_header_and_one_is_made_where_none_came(channel, seen, gateway):
    infer = channel.unary_unary(METHOD)
    for request_id in ("inside", ""):
        answer = messages().ModelInferResponse.FromString(
            await infer(make_request(request_id), metadata=(("x-request-id", "header"),))
        )
        assert answer.id == (request_id or "header")
    made = messages().ModelInferResponse.FromString(await infer(make_request())).id
    assert made.startswith(gateway._id_prefix)


@pytest.mark.parametrize(
    ("path", "data", "options", "status", "words"),
    [
        (
            "/t/Nothing",
            b"",
            {},
            "UNIMPLEMENTED",
            "there is no method /t/Nothing; server reflection lists what there is",
        ),
        (METHOD, b"\xff", {}, "INVALID_ARGUMENT", "the body is no ModelInferRequest: truncated or not protobuf"),
        (
            METHOD,
            make_request(model="no"),
            {},
            "NOT_FOUND",
            "Request for unknown model: there is no model 'no'; this server has double",
        ),
        (
            METHOD,
            bytes(2**20 + 1),
            {},
            "INVALID_ARGUMENT",
            "the message has 1048577 bytes; at most 1048576 are taken: send fewer rows at once, or have the server's "
            "MILLRACE_MAX_BODY_MIB raised",
        ),
        (
            METHOD,
            bytes(2**20 + 1),
            {"compression": grpc.Compression.Gzip},
            "INVALID_ARGUMENT",
            "the message has more than 1048576 bytes when decompressed: send fewer rows at once, or have the server's "
            "MILLRACE_MAX_BODY_MIB raised",
        ),
        (
            "/grpc.health.v1.Health/Check",
            b"\x0a\x04none",
            {},
            "NOT_FOUND",
            "there is no service 'none'; ask for '', a model, or model/version",
        ),
        (
            "/grpc.health.v1.Health/Check",
            b"\xff",
            {},
            "INVALID_ARGUMENT",
            "the body is no HealthCheckRequest: truncated or not protobuf",
        ),
    ],
)
async def test_every_refusal_has_its_status_from_the_table_and_a_request_id(
    channel, path, data, options, status, words
):
    method = channel.unary_unary(path)
    assert await refusal(method(data, metadata=(("x-request-id", "me-1"),), **options)) == (status, words, "me-1")
    assert len((await refusal(method(data, **options)))[2]) > 6


async def test_a_reflection_request_that_is_none_is_refused_like_any_other(channel):
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")(iter([b"\xff"]))
    status, words, _ = await refusal(call.read())
    assert (status, words) == ("INVALID_ARGUMENT", "the body is no ServerReflectionRequest: truncated or not protobuf")


async def test_an_id_too_long_for_a_trailer_is_cut_there(channel):
    _, _, request_id = await refusal(channel.unary_unary(METHOD)(make_request(100_000 * "a", model="no")))
    assert request_id == 128 * "a"


@pytest.mark.parametrize(("data", "request_id"), [(b"\xff", "mine"), (make_request("inside", model="no"), "inside")])
@pytest.mark.parametrize("ends_calls", [False, True])
async def test_a_refusal_in_a_stream_of_requests_carries_the_id_of_the_one_refused(
    channel, data, request_id, ends_calls
):
    metadata = (("x-request-id", "mine"), ("triton_grpc_error", str(ends_calls).lower()))
    call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(iter([data]), metadata=metadata)
    if ends_calls:
        assert (await refusal(call.read()))[2] == request_id
    else:
        answer = messages().ModelStreamInferResponse.FromString(await call.read())
        assert answer.error_message.endswith(f" (request {request_id})")
        assert answer.infer_response.id == request_id


async def test_counts_what_the_transport_refuses_among_the_refusals(channel, gateway):
    for data in (b"\xff", bytes(2**20 + 1)):
        await refusal(channel.unary_unary(METHOD)(data))
    labels = {"model": "", "version": "", "protocol": "grpc"}
    counts = [
        gateway.metrics.registry.get_sample_value("millrace_requests_total", labels | {"outcome": outcome})
        for outcome in ("invalid", "too_large")
    ]
    assert counts == [1, 1]


async def test_keeps_internal_text_inside(channel, gateway, monkeypatch):
    async def break_down(request):
        raise ZeroDivisionError("internal text")

    monkeypatch.setattr(gateway, "infer", break_down)
    status, words, _ = await refusal(channel.unary_unary(METHOD)(make_request()))
    assert (status, words) == ("INTERNAL", "the server failed; its log has the cause")


def test_the_table_of_the_transports_refusals_is_total():
    # What a method breaks with never comes out of our interceptor as such, and a screen brings an error of ours.
    assert set(_REFUSALS) == set(RefusedError.__subclasses__()) - {MethodBrokeError, ScreenedError}
    assert all(issubclass(kind, GatewayError) for kind, _ in _REFUSALS.values())


async def test_our_client_says_that_a_request_is_too_large_and_not_that_it_should_be_repeated(address):
    async with AsyncClient(address) as client:
        with pytest.raises(BadRequestError, match=r"at most 1048576 are taken: send fewer rows at once"):
            await client.infer("double", {"x": np.zeros((200_000, 2), np.float32)})


async def test_callers_without_grpc_are_told_by_http_status(address):
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{address}/")
    assert (answer.status_code, answer.text) == (400, "This port speaks gRPC.\n")


async def test_a_caller_who_leaves_takes_its_request_out_of_the_queue(channel, backend, gateway):
    backend.gate.clear()
    infer = channel.unary_unary(METHOD)
    first = asyncio.ensure_future(_invoke(infer, make_request()))
    while not backend.batches:
        await asyncio.sleep(0.01)
    second = infer(make_request(num_rows=3))
    waiting = {"model": "double", "version": "3-eager"}
    while gateway.metrics.registry.get_sample_value("millrace_waiting_rows", waiting) != 3:
        await asyncio.sleep(0.01)
    second.cancel()
    while gateway.metrics.registry.get_sample_value("millrace_waiting_rows", waiting):
        await asyncio.sleep(0.01)
    backend.gate.set()
    await first
    assert [len(batch) for batch in backend.batches] == [1]


async def _invoke(method, data):
    return await method(data)
