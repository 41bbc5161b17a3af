"""The edge and its nodes on one machine: what Envoy is told, and what happens when a node goes."""

import asyncio
import json
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from cryptography import x509

from host.ports import find_free_ports
from k8s.checks import check_edge
from k8s.fleet import callers
from k8s.fleet.certificates import EDGE_SUBJECT, Trust
from k8s.fleet.envoy import Edge, Node, make_configuration
from k8s.fleet.processes import Fleet, validate, write_configuration
from k8s.routes import DOMAIN, NODES_HOST
from k8s.settings import ROOM
from k8s.smoke import Door, call_once
from services.client import ClientError, Tls
from services.gateway import edges
from tests.k8s.conftest import plan
from tests.k8s.fleets import call, open_channel, sleeping_node, under_load, wait_for_edge

NODES = [Node("127.0.0.1", 8000, 8001), Node("127.0.0.1", 8010, 8011)]
KEYS = {"web": "web-key", "flood": "flood-key"}
REQUESTS_PER_S = 100


@pytest.fixture(scope="module")
def trust(tmp_path_factory):
    return Trust.make(tmp_path_factory.mktemp("trust"), ("localhost", f"classifier.{DOMAIN}"))


@pytest.fixture(scope="module")
def fleet(trust, tmp_path_factory):
    """Two nodes, an edge and callers who prove to each other who they are."""
    port, admin, *ports = find_free_ports(6)
    edge = Edge(
        nodes=[Node("127.0.0.1", *ports[:2]), Node("127.0.0.2", *ports[2:])],
        port=port,
        admin_port=admin,
        keys=KEYS,
        requests_per_s=REQUESTS_PER_S,
        certificates=trust.towards_callers,
        identity=trust.towards_nodes,
    )
    command = sleeping_node(certificate=trust.node, authority=trust.nodes.path, trusted_edges=EDGE_SUBJECT)
    with Fleet(edge, command, tmp_path_factory.mktemp("fleet")) as running:
        wait_for_edge(edge)
        yield running


@pytest.fixture
def edge(fleet):
    return fleet.edge


def make_context(authority, certificate=None):
    context = ssl.create_default_context(cafile=authority)
    if certificate:
        context.load_cert_chain(certificate)
    return context


def open_url(url, context, key=""):
    request = urllib.request.Request(url, headers={"x-api-key": key} if key else {})
    return urllib.request.urlopen(request, timeout=5, context=context)


def count_inferences(edge, trust):
    """Ask the nodes themselves how many calls reached them, with the certificate of the edge."""
    context = make_context(trust.nodes.path, trust.edge_client)
    context.check_hostname = False  # the name is every node's, not an address
    total = 0
    for node in edge.nodes:
        with open_url(f"https://{node.host}:{node.http_port}/v2/models/classifier/stats", context) as answer:
            (statistics,) = json.load(answer)["model_stats"]
        total += statistics["inference_stats"]["success"]["count"] + statistics["inference_stats"]["fail"]["count"]
    return total


def read_serial(host, port, context, name):
    """Read the number of the certificate that a door shows to a new connection."""
    with socket.create_connection((host, port), 5) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return secure.getpeercert()["serialNumber"]


async def test_who_shows_no_key_reaches_no_node(edge, fleet, trust):
    before = await asyncio.to_thread(count_inferences, edge, trust)
    async with open_channel(edge, trust) as channel:
        for key in ("", "guessed"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(channel, key)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert await asyncio.to_thread(count_inferences, edge, trust) == before
        await call(channel)
    assert await asyncio.to_thread(count_inferences, edge, trust) == before + 1
    context = make_context(trust.callers.path, trust.caller)
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(open_url, f"https://localhost:{edge.port}/v2", context)
    with refused.value as answer:
        assert answer.code == 401
    with await asyncio.to_thread(open_url, f"https://localhost:{edge.port}/v2", context, "web-key") as answer:
        assert json.load(answer)["name"] == "millrace"


async def test_who_shows_no_certificate_enters_neither_edge_nor_node(edge, fleet, trust):
    url = f"https://localhost:{edge.port}/v2"
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(open_url, url, make_context(trust.callers.path), "web-key")
    node = edge.nodes[0]
    context = make_context(trust.nodes.path)
    context.check_hostname = False
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(open_url, f"https://{node.host}:{node.http_port}/v2", context)
    with refused.value as answer:
        assert answer.code == 401
    context.load_cert_chain(trust.caller)  # of the other authority
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(open_url, f"https://{node.host}:{node.http_port}/v2", context)


@pytest.mark.parametrize("domain", ["", DOMAIN])
def test_a_first_call_enters_by_certificate_key_and_name(edge, fleet, trust, store, domain):
    (planned,) = plan(store, "classifier")
    tls = Tls(ca=trust.callers.path, certificate=trust.caller, key=trust.caller)
    rows = {"x": np.ones((2, 4), np.float32)}
    with Door(f"localhost:{edge.port}", domain, "web-key", tls).call(planned) as client:
        assert 0 < call_once(client, planned.manifest, rows) < 5
    shut = [
        Door(f"localhost:{edge.port}", domain, "guessed", tls),
        Door(f"localhost:{edge.port}", domain, "web-key", Tls(ca=trust.callers.path)),
        Door(f"localhost:{edge.port}", "other.example.com", "web-key", tls),
    ]
    for door in shut:
        with door.call(planned) as client, pytest.raises(ClientError):
            call_once(client, planned.manifest, rows)


async def test_nodes_know_callers_by_the_name_that_the_edge_found_for_their_key(fleet, edge, trust):
    async with open_channel(edge, trust) as channel:
        await asyncio.gather(*(call(channel, x_client="admin") for _ in range(8)))
    names = {line for node in edge.nodes for line in fleet.read_log(node).splitlines() if line.startswith("caller")}
    assert "caller edge:web" in names
    assert "caller edge:admin" not in names
    assert callers.CLIENT_HEADER == edges.HEADER


async def test_nodes_know_who_shows_a_certificate_alone_by_its_subject(trust, tmp_path):
    port, admin, *ports = find_free_ports(4)
    (node,) = nodes = [Node("127.0.0.1", *ports)]
    edge = Edge(
        nodes=nodes, port=port, admin_port=admin, certificates=trust.towards_callers, identity=trust.towards_nodes
    )
    command = sleeping_node(certificate=trust.node, authority=trust.nodes.path, trusted_edges=EDGE_SUBJECT)
    with Fleet(edge, command, tmp_path) as fleet:
        wait_for_edge(edge)
        async with open_channel(edge, trust) as channel:
            await call(channel, "", x_forwarded_client_cert='Subject="CN=admin"', x_client="admin")
        names = {line for line in fleet.read_log(node).splitlines() if line.startswith("caller edge:")}
    subject = x509.load_pem_x509_certificate(trust.caller.read_bytes()).subject.rfc4514_string()
    assert names == {f"caller edge:{subject}"}
    assert callers.CERTIFICATE_HEADER == edges.CERTIFICATE_HEADER


def test_certificates_are_renewed_without_a_failed_call(edge, fleet, trust):
    node = edge.nodes[0]
    doors = [
        ("127.0.0.1", edge.port, make_context(trust.callers.path, trust.caller), "localhost"),
        (node.host, node.grpc_port, make_context(trust.nodes.path, trust.edge_client), NODES_HOST),
    ]

    def renew():
        before = [read_serial(*door) for door in doors]
        trust.renew()
        end_s = time.monotonic() + 15
        while any(read_serial(*door) == serial for door, serial in zip(doors, before, strict=True)):
            assert time.monotonic() < end_s, "a door still shows the certificate before"
            time.sleep(0.1)
        fleet.processes[node].kill()  # the edge must connect again, with what it shows now
        fleet.processes[node].wait()
        fleet.restart_dead()
        while not fleet.is_ready(node):
            time.sleep(0.05)
        return wait_for_edge(edge)

    outcome, _ = under_load(edge, renew, trust=trust, num_callers=2, pause_s=0.02)
    assert outcome.errors == []
    assert outcome.num_calls > 20


async def test_a_flood_of_one_client_is_refused_and_others_are_answered(edge, fleet, trust):
    async with open_channel(edge, trust) as channel:
        await channel.channel_ready()
        flood = [call(channel, "flood-key") for _ in range(10 * REQUESTS_PER_S)]
        results = await asyncio.gather(*flood, return_exceptions=True)
        await call(channel)
    refused = [error for error in results if not isinstance(error, int)]
    assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) <= 9 * REQUESTS_PER_S


async def test_the_calls_of_a_frozen_node_are_answered_by_another(edge, fleet, trust):
    frozen = fleet.processes[edge.nodes[0]]
    frozen.send_signal(signal.SIGSTOP)
    try:
        async with open_channel(edge, trust) as channel:
            await asyncio.gather(*(call(channel) for _ in range(16)))
    finally:
        frozen.send_signal(signal.SIGCONT)
    await asyncio.to_thread(wait_for_edge, edge)


def test_a_node_that_drains_costs_no_call(edge, fleet, trust):
    leaving = edge.nodes[1]

    def drain():
        fleet.processes[leaving].terminate()
        return fleet.processes[leaving].wait(20)

    outcome, status = under_load(edge, drain, trust=trust, num_callers=2, pause_s=0.02)
    assert (outcome.errors, status) == ([], 0)
    assert outcome.num_calls > 20


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keys": {"web": "key"}},
        {"balancing": "weighted"},
        {"mirror": [Node("127.0.0.9", 8000, 8001)], "mirror_percent": 100},
        {"canary": [Node("127.0.0.9", 8000, 8001)], "canary_percent": 5},
    ],
)
def test_envoy_takes_the_configuration(options, tmp_path):
    edge = Edge(nodes=NODES, port=9000, admin_port=9001, **options)
    assert validate(write_configuration(edge, tmp_path)) == ""


def test_every_form_of_the_edge_is_checked(tmp_path):
    assert check_edge(tmp_path) == []


def test_envoy_says_what_it_does_not_take(tmp_path):
    configuration = make_configuration(Edge(nodes=NODES, port=9000, admin_port=9001), tmp_path)["envoy.json"]
    configuration["static_resources"]["clusters"][0]["lb_policy"] = "BEST"
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(configuration))
    assert "BEST" in validate(path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": []}, "at least one node"),
        ({"canary_percent": 5}, "above 0 takes canary nodes"),
        ({"mirror_percent": 5}, "above 0 takes mirror nodes"),
        ({"keys": {"a": "same", "b": "same"}}, "two clients have the same key"),
        ({"keys": {"a": "key"}, "tokens": callers.Tokens(issuer="i", key_set=ROOM)}, "for keys or for tokens"),
    ],
)
def test_an_edge_is_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        Edge(**{"nodes": NODES, "port": 9000, "admin_port": 9001} | wrong)
