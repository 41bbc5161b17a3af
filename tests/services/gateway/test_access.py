"""Who may call: both doors of a gateway that asks for keys, and what the audit log says of those it turns away."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import numpy as np
import pytest

from model_store.open_inference import messages
from services.catalogue import Catalogue
from services.client import AccessError, AsyncClient
from services.gateway import audit
from services.gateway.caller import KnownCaller, name_caller
from services.gateway.core import Gateway
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer
from services.gateway.keys import KeyFile, Verb
from services.gateway.operations import operation_of_grpc, operation_of_http
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import make_manifest, make_variant

SERVICE = "/inference.GRPCInferenceService"
INFER = "/v2/models/double/infer"
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
DAY = timedelta(days=1)


@pytest.fixture
def keys(tmp_path):
    """Keys by what they are for."""
    file = KeyFile(tmp_path / "keys.json")
    both, now = (Verb.INFER, Verb.READ), datetime.now(UTC)
    return {
        "all": file.add("all", (), both, now + DAY),
        "double": file.add("double-only", ("double",), both, None),
        "other": file.add("other-only", ("other",), both, None),
        "reader": file.add("reader", (), (Verb.READ,), None),
        "expired": file.add("expired", (), both, now - DAY),
        "wrong": "mlr_00000000_nothing",
    }


@pytest.fixture
async def gateway(keys, backend, tmp_path):
    variants = [make_variant(make_manifest(model=model), tmp_path) for model in ("double", "other")]
    gateway = Gateway(Catalogue(variants), backend, GatewaySettings(api_keys=tmp_path / "keys.json", max_body_mib=1))
    await gateway.readiness.prove()
    return gateway


@pytest.fixture
async def http(gateway):
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(make_app(gateway), listener)
    server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client
    await server.stop(0)


@pytest.fixture
async def channel(gateway):
    server = GrpcServer(gateway, socket.create_server(("127.0.0.1", 0)))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel
    await server.stop(0)


@pytest.fixture
def refusals(monkeypatch):
    """Lines of the audit log."""
    lines = []

    class Logger:
        def warning(self, event, **fields):
            lines.append(fields)

    monkeypatch.setattr(audit, "logger", Logger())
    return lines


def bearer(key):
    return {"authorization": f"Bearer {key}"}


async def call(channel, method, message, *metadata):
    try:
        return "OK", await channel.unary_unary(f"{SERVICE}/{method}")(message.SerializeToString(), metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details()


def infer_request(model="double"):
    request = messages().ModelInferRequest(model_name=model)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.ones((1, 2), np.float32).tobytes())
    return request


@pytest.mark.parametrize(
    ("holder", "status", "code", "words"),
    [
        ("all", 200, "OK", ""),
        ("double", 200, "OK", ""),
        ("", 401, "UNAUTHENTICATED", "send the header 'authorization: Bearer KEY' or 'x-api-key: KEY'"),
        ("wrong", 401, "UNAUTHENTICATED", "the key is not known here: it was mistyped or revoked"),
        ("expired", 401, "UNAUTHENTICATED", "expired on"),
        ("reader", 403, "PERMISSION_DENIED", ") may read here; this takes a key for infer"),
        ("other", 403, "PERMISSION_DENIED", "is for other, not for 'double'"),
    ],
)
async def test_both_doors_let_in_whom_the_key_lets_in(http, channel, keys, holder, status, code, words):
    for headers in (bearer(keys[holder]), {"x-api-key": keys[holder]}) if holder else ({},):
        answer = await http.post(INFER, json=BODY, headers=headers)
        assert answer.status_code == status
        assert words in answer.text
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
        found, details = await call(channel, "ModelInfer", infer_request(), *headers.items())
        assert found == code
        assert found == "OK" or words in details


async def test_the_client_sends_its_key_or_that_of_the_environment(gateway, keys, monkeypatch):
    server = GrpcServer(gateway, socket.create_server(("127.0.0.1", 0)))
    await server.start()
    monkeypatch.setenv("MILLRACE_API_KEY", keys["double"])
    outcomes = []
    for key in (None, keys["all"], keys["other"], ""):
        async with AsyncClient(f"127.0.0.1:{server.port}", api_key=key) as client:
            try:
                outcomes.append((await client.infer("double", {"x": np.ones((1, 2), np.float32)}))["y"].tolist())
            except AccessError as error:
                outcomes.append(error.status)
    assert outcomes == [[[2, 2]], [[2, 2]], "PERMISSION_DENIED", "UNAUTHENTICATED"]
    await server.stop(0)


async def test_probes_and_documentation_are_open(http, channel):
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/double/ready", "/docs", "/openapi.json"):
        assert (path, (await http.get(path)).status_code) == (path, 200)
    assert (await call(channel, "ServerReady", messages().ServerReadyRequest()))[0] == "OK"
    assert (await call(channel, "ModelReady", messages().ModelReadyRequest(name="double")))[0] == "OK"
    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert await health(b"") == b"\x08\x01"


async def test_what_there_is_takes_a_key_and_names_only_its_models(http, channel, keys):
    assert (await http.get("/")).status_code == 401
    for holder, names in (("all", ["double", "other"]), ("other", ["other"])):
        headers = bearer(keys[holder])
        assert [model["name"] for model in (await http.get("/", headers=headers)).json()["models"]] == names
        index = (await http.post("/v2/repository/index", headers=headers)).json()
        assert [row["name"] for row in index] == names
        code, data = await call(channel, "RepositoryIndex", messages().RepositoryIndexRequest(), *headers.items())
        assert (code, [row.name for row in messages().RepositoryIndexResponse.FromString(data).models]) == ("OK", names)
    assert (await http.get("/v2/models/double", headers=headers)).status_code == 403
    code, details = await call(
        channel, "ModelMetadata", messages().ModelMetadataRequest(name="double"), *headers.items()
    )
    assert (code, "not for 'double'" in details) == ("PERMISSION_DENIED", True)


async def test_a_key_for_other_models_does_not_tell_which_models_there_are(http, channel, keys):
    for model in ("double", "nothing"):
        answer = await http.get(f"/v2/models/{model}", headers=bearer(keys["other"]))
        code, _ = await call(channel, "ModelInfer", infer_request(model), *bearer(keys["other"]).items())
        assert (answer.status_code, code) == (403, "PERMISSION_DENIED")


async def test_a_body_is_not_awaited_before_its_sender_is_known(http, channel):
    _, writer = connection = await asyncio.open_connection("127.0.0.1", http.base_url.port)
    writer.write(b"POST %s HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n" % INFER.encode())
    assert (await connection[0].readline()).split()[1] == b"401"
    writer.close()
    stream = channel.stream_stream(f"{SERVICE}/ModelInfer")()  # sends a head and nothing else
    assert (await stream.code()).name == "UNAUTHENTICATED"


async def test_refusals_are_counted_and_audited_without_the_key(http, channel, gateway, keys, refusals):
    await http.post(INFER, json=BODY, headers={**bearer(keys["wrong"]), "x-request-id": "r1"})
    await call(channel, "ModelInfer", infer_request(), ("x-api-key", keys["other"]), ("x-request-id", "r2"))
    assert [line["request"] for line in refusals] == ["r1", "r2"]
    assert [line["who"] for line in refusals] == ["127.0.0.1", "other-only"]
    assert [line["what"] for line in refusals] == [f"infer double {INFER}", "infer double"]
    assert refusals[1]["key"] == keys["other"].split("_")[1]
    assert not any(key in str(refusals) for key in keys.values())
    for protocol, outcome in (("http", "unauthenticated"), ("grpc", "denied")):
        labels = {"model": "", "version": "", "protocol": protocol, "outcome": outcome}
        assert gateway.metrics.registry.get_sample_value("millrace_requests_total", labels) == 1


def test_a_flood_of_refusals_makes_few_lines(refusals):
    now_s = [0.0]
    log = audit.Audit(lambda: now_s[0])
    for _ in range(1000):
        log.record("x", "infer", "no key", key="", peer="10.0.0.1:1", request_id="r")
    assert len(refusals) == audit.BURST_LINES
    now_s[0] = 1.0
    log.record("x", "infer", "no key", key="", peer="10.0.0.1:1", request_id="r")
    assert refusals[-1]["left_out"] == 900


async def test_every_method_and_path_has_a_verb_of_its_own(gateway):
    """What is forgotten takes `admin`; nothing may be there by being forgotten."""
    app = make_app(gateway)
    while not hasattr(app, "routes"):
        app = app._app
    unnamed = {
        (method, route.path)
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if (operation := operation_of_http(method, route.path)) is not None and operation.verb is Verb.ADMIN
    }
    assert {path for _, path in unnamed} <= {
        "/v2/repository/models/{model}/load",
        "/v2/repository/models/{model}/unload",
    }
    paths = [path.decode() for path in GrpcServer(gateway, None)._server.routes]
    unnamed = {path for path in paths if (operation := operation_of_grpc(path)) and operation.verb is Verb.ADMIN}
    assert unnamed <= {f"{SERVICE}/RepositoryModelLoad", f"{SERVICE}/RepositoryModelUnload"}
    assert len(paths) > 10


def test_what_nobody_named_takes_admin():
    assert operation_of_http("POST", "/v2/models/double/explode").verb is Verb.ADMIN
    assert operation_of_http("GET", "/anything/else").verb is Verb.ADMIN
    assert operation_of_grpc(f"{SERVICE}/Anything").verb is Verb.ADMIN


async def test_without_keys_nobody_is_asked(variant, backend):
    gateway = Gateway(Catalogue([variant]), backend, GatewaySettings())
    assert gateway.guard is None
    assert GrpcServer(gateway, None)._server.screen is None


def test_a_caller_is_its_key_else_its_certificate_else_its_address(keys, tmp_path):
    key = KeyFile(tmp_path / "keys.json").read()[0]
    assert name_caller(KnownCaller("10.0.0.1:99", {}, key, "CN=phone")) == "all"
    assert name_caller(KnownCaller("10.0.0.1:99", {}, None, "CN=phone")) == "CN=phone"
    assert name_caller(KnownCaller("10.0.0.1:99")) == name_caller(KnownCaller("10.0.0.1:7")) == "10.0.0.1"
