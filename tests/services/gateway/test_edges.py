"""A header names a caller only where a trusted peer sends it."""

import asyncio
import socket

import grpc
import httpx
import numpy as np
import pytest

from model_store.open_inference import SERVICE, messages
from services.catalogue import Catalogue
from services.gateway.caller import KnownCaller, name_caller
from services.gateway.core import Gateway
from services.gateway.edges import CERTIFICATE_HEADER, HEADER, MAX_NAME_CHARS, TrustedEdges, read_subject
from services.gateway.grpc import GrpcServer
from services.gateway.http_server import HttpServer
from services.gateway.rest import make_app
from services.gateway.settings import GatewaySettings

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
NAMED = {HEADER: "web"}


@pytest.mark.parametrize(
    ("trusted", "peer", "certificate", "headers", "name"),
    [
        ("10.1.0.0/16", "10.1.2.3:5000", "", NAMED, "web"),
        ("10.1.0.0/16", "10.2.2.3:5000", "", NAMED, ""),
        ("10.1.0.0/16", "10.1.2.3:5000", "", {}, ""),
        ("10.1.0.0/16", "10.1.2.3:5000", "", {HEADER: "w" * (MAX_NAME_CHARS + 1)}, ""),
        ("fd00::/8", "[fd00::7]:5000", "", NAMED, "web"),
        ("fd00::/8; 10.1.2.3", "10.1.2.3:5000", "", NAMED, "web"),
        ("CN=edge,O=house; CN=edge", "10.1.2.3:5000", "CN=edge", NAMED, "web"),
        ("CN=edge,O=house", "10.1.2.3:5000", "CN=edge", NAMED, ""),
        ("CN=edge", "10.1.2.3:5000", "", NAMED, ""),
        ("CN=edge", "10.1.2.3:5000", "CN=caller", {HEADER: "CN=edge"}, ""),
        ("10.0.0.0/8", "testclient", "", NAMED, ""),
    ],
)
def test_only_a_trusted_peer_names_others(trusted, peer, certificate, headers, name):
    assert TrustedEdges(trusted).find_name(KnownCaller(peer, headers, None, certificate)) == name


WEB = 'By=spiffe://x;Hash=ab;Subject="CN=web,O=house";URI=spiffe://web'


@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (WEB, "CN=web,O=house"),
        (r'Hash=ab;Subject="CN=\"a\\, b\";Subject=\"CN=c\""', r'CN="a\, b";Subject="CN=c"'),
        (f'Hash=cd;Subject="CN=far",{WEB}', "CN=web,O=house"),  # the nearest hop is the one that is trusted
        (f"{WEB},Hash=cd", ""),
        ('Hash=ab;Subject=""', ""),
        ('Hash=ab;Subject="CN=web', ""),
        ('URI=",";X="Subject=\\"CN=no\\""', ""),
        ("", ""),
    ],
)
def test_the_subject_is_that_of_the_certificate_which_the_nearest_hop_has_seen(header, subject):
    assert read_subject(header) == subject


@pytest.mark.parametrize(
    ("trusted", "headers", "name"),
    [
        ("CN=edge", {CERTIFICATE_HEADER: WEB}, "CN=web,O=house"),
        ("CN=edge", {CERTIFICATE_HEADER: WEB, **NAMED}, "web"),
        ("CN=other", {CERTIFICATE_HEADER: WEB}, ""),
        ("CN=edge", {CERTIFICATE_HEADER: f'Subject="CN={"a" * 300}"'}, ""),
    ],
)
def test_who_shows_a_certificate_alone_is_named_by_it(trusted, headers, name):
    assert TrustedEdges(trusted).find_name(KnownCaller("10.1.2.3:5000", headers, None, "CN=edge")) == name


@pytest.mark.parametrize("wrong", ["edge", "10.1.2.3/33", "10.1.2.3/16"])
def test_what_is_neither_address_nor_subject_is_refused(wrong):
    with pytest.raises(ValueError, match=r"MILLRACE_TRUSTED_EDGES: .* is neither a network or address"):
        TrustedEdges(f"CN=edge;{wrong}")


def test_a_name_from_the_edge_is_mistaken_for_no_other():
    caller = KnownCaller("10.0.0.1:99", {}, None, "CN=edge", named_by_edge="CN=admin")
    assert name_caller(caller) == "edge:CN=admin"


@pytest.fixture
def make_gateway(variant, backend):
    async def make(trusted):
        gateway = Gateway(Catalogue([variant]), backend, GatewaySettings(trusted_edges=trusted))
        await gateway.readiness.prove()
        return gateway

    return make


@pytest.mark.parametrize(
    ("trusted", "name"),
    [("127.0.0.1", "edge:web"), ("127.0.0.9", "127.0.0.1"), ("CN=edge", "127.0.0.1"), ("", "127.0.0.1")],
)
async def test_both_doors_know_a_caller_by_the_name_that_its_edge_gives(make_gateway, monkeypatch, trusted, name):
    gateway = await make_gateway(trusted)
    names = []
    infer = gateway.infer

    async def spy(request):
        names.append(name_caller(request.caller))
        return await infer(request)

    monkeypatch.setattr(gateway, "infer", spy)
    http = HttpServer(make_app(gateway), socket.create_server(("127.0.0.1", 0)))
    http.start()
    server = GrpcServer(gateway, socket.create_server(("127.0.0.1", 0)))
    await server.start()
    # No proxy's word about addresses makes anybody an edge.
    headers = NAMED | {"x-forwarded-for": "127.0.0.9"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http.port}") as client:
        for path in ("/v2/models/double/infer", "/v1/double"):
            body = BODY if path.startswith("/v2") else {"inputs": {"x": [[1, 2]]}}
            assert (await client.post(path, json=body, headers=headers)).status_code == 200
    request = messages().ModelInferRequest(model_name="double")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.ones((1, 2), np.float32).tobytes())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        await channel.unary_unary(f"/{SERVICE}/ModelInfer")(
            request.SerializeToString(), metadata=tuple(headers.items())
        )
    await asyncio.gather(http.stop(0), server.stop(0))
    assert names == [name] * 3
