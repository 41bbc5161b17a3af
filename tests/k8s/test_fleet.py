"""The edge and its nodes on one machine: what Envoy is told, and what happens when a node goes."""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import yaml

from host.ports import find_free_ports
from k8s.fleet import envoy
from k8s.fleet.envoy import Certificates, Edge, Node, make_configuration
from k8s.fleet.processes import Fleet, validate
from k8s.settings import ROOM
from model_store.open_inference import SERVICE
from services.client.wire import encode_infer_request

NODES = [Node("127.0.0.1", 8000, 8001), Node("127.0.0.1", 8010, 8011)]
BODY = encode_infer_request("classifier", {"x": np.ones((2, 4), np.float32)})
METHOD = f"/{SERVICE}/ModelInfer"


def sleeping_node(node, ready):
    ports = ["--http-port", str(node.http_port), "--grpc-port", str(node.grpc_port)]
    return [sys.executable, "-m", "tests.k8s.sleeping_node", "--host", node.host, *ports, "--ready-file", str(ready)]


KEYS = {"web": "web-key", "flood": "flood-key"}
REQUESTS_PER_S = 100


@pytest.fixture(scope="module")
def edge():
    port, admin, *ports = find_free_ports(6)
    nodes = [Node("127.0.0.1", *ports[:2]), Node("127.0.0.2", *ports[2:])]
    return Edge(nodes=nodes, port=port, admin_port=admin, keys=KEYS, requests_per_s=REQUESTS_PER_S)


@pytest.fixture(scope="module")
def fleet(edge, tmp_path_factory):
    with Fleet(edge, sleeping_node, tmp_path_factory.mktemp("fleet")) as running:
        wait_for_edge(edge)
        yield running


def wait_for_edge(edge):
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{edge.admin_port}/clusters", timeout=1) as answer:
                if answer.read().decode().count("health_flags::healthy") == 4:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("the edge did not find both nodes healthy")


async def call(channel, key="web-key", timeout_s=20):
    await channel.unary_unary(METHOD)(BODY, metadata=(("x-api-key", key),), timeout=timeout_s)


async def load(edge, is_over, callers=2):
    """Call until it is over; return the number of calls and the errors."""
    counter, errors = itertools.count(), []

    async def caller():
        async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
            while not is_over.is_set():
                try:
                    await call(channel)
                except grpc.aio.AioRpcError as error:
                    errors.append(f"{error.code().name}: {error.details()}")
                next(counter)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return next(counter), errors


async def test_only_callers_with_a_key_reach_a_node(edge, fleet):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        for key in ("", "guessed"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(channel, key)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        await call(channel)
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{edge.port}/v2", timeout=5)
    with refused.value as answer:
        assert answer.code == 401
    request = urllib.request.Request(f"http://127.0.0.1:{edge.port}/v2", headers={"x-api-key": "web-key"})
    with await asyncio.to_thread(urllib.request.urlopen, request, timeout=5) as answer:
        assert json.load(answer)["name"] == "millrace"


async def test_a_flood_of_one_client_is_refused_and_others_are_answered(edge, fleet):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        await channel.channel_ready()
        flood = [call(channel, "flood-key") for _ in range(10 * REQUESTS_PER_S)]
        results = await asyncio.gather(*flood, return_exceptions=True)
        await call(channel)
    refused = [error for error in results if error is not None]
    assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) <= 9 * REQUESTS_PER_S


async def test_the_calls_of_a_frozen_node_are_answered_by_another(edge, fleet):
    frozen = fleet.processes[edge.nodes[0]]
    frozen.send_signal(signal.SIGSTOP)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
            await asyncio.gather(*(call(channel) for _ in range(16)))
    finally:
        frozen.send_signal(signal.SIGCONT)
    await asyncio.to_thread(wait_for_edge, edge)


async def test_a_killed_node_and_one_that_drains_cost_no_call(edge, fleet):
    is_over = asyncio.Event()
    loading = asyncio.create_task(load(edge, is_over))
    await asyncio.sleep(1)
    first, second = edge.nodes
    os.kill(fleet.processes[first].pid, signal.SIGKILL)
    await asyncio.sleep(0.5)
    assert await asyncio.to_thread(fleet.restart_dead) == [first]
    while not fleet.is_ready(first):
        await asyncio.sleep(0.1)
    await asyncio.to_thread(wait_for_edge, edge)
    fleet.processes[second].terminate()
    assert await asyncio.to_thread(fleet.processes[second].wait, 20) == 0
    await asyncio.sleep(0.5)
    is_over.set()
    calls, errors = await loading
    assert errors == []
    assert calls > 100


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keys": {"web": "key"}},
        {"canary": [Node("127.0.0.9", 8000, 8001)], "canary_percent": 5},
    ],
)
def test_envoy_takes_the_configuration(options, tmp_path):
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(make_configuration(Edge(nodes=NODES, port=9000, admin_port=9001, **options))))
    assert validate(path) == ""


def test_envoy_says_what_it_does_not_take(tmp_path):
    configuration = make_configuration(Edge(nodes=NODES, port=9000, admin_port=9001))
    configuration["static_resources"]["clusters"][0]["lb_policy"] = "BEST"
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(configuration))
    assert "BEST" in validate(path)


def test_mutual_tls_asks_for_a_certificate(tmp_path):
    files = Certificates(certificate=tmp_path / "a", key=tmp_path / "b", authority=tmp_path / "c")
    configuration = make_configuration(Edge(nodes=NODES, port=9000, admin_port=9001, certificates=files))
    (chain,) = configuration["static_resources"]["listeners"][0]["filter_chains"]
    assert chain["transport_socket"]["typed_config"]["require_client_certificate"] is True


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": []}, "at least one node"),
        ({"canary_percent": 5}, "go together"),
        ({"keys": {"a": "same", "b": "same"}}, "two clients have the same key"),
    ],
)
def test_an_edge_is_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        Edge(**{"nodes": NODES, "port": 9000, "admin_port": 9001} | wrong)


def test_a_cluster_gets_the_same_edge():
    policies = {
        item["kind"]: item["spec"]
        for item in yaml.safe_load_all((ROOM / "components" / "gateway-api" / "policies.yaml").read_text())
    }
    backend = policies["BackendTrafficPolicy"]
    passive, breaker = backend["healthCheck"]["passive"], backend["circuitBreaker"]
    assert ",".join(backend["retry"]["retryOn"]["triggers"]) == envoy.RETRY_ON
    assert backend["retry"]["numRetries"] == envoy.NUM_RETRIES
    assert backend["loadBalancer"]["type"] == "LeastRequest"
    assert {
        "consecutive_gateway_failure": passive["consecutiveGatewayErrors"],
        "consecutive_local_origin_failure": passive["consecutiveLocalOriginFailures"],
        "interval": passive["interval"],
        "base_ejection_time": passive["baseEjectionTime"],
        "max_ejection_percent": passive["maxEjectionPercent"],
    }.items() <= envoy.OUTLIER.items()
    assert {
        "max_connections": breaker["maxConnections"],
        "max_pending_requests": breaker["maxPendingRequests"],
        "max_requests": breaker["maxParallelRequests"],
        "max_retries": breaker["maxParallelRetries"],
    } == envoy.THRESHOLDS
    assert backend["timeout"]["http"]["requestTimeout"] == envoy.REQUEST_TIMEOUT
    keys = policies["SecurityPolicy"]["apiKeyAuth"]
    assert keys["extractFrom"] == [{"headers": [envoy.KEY_HEADER]}]
    assert keys["forwardClientIDHeader"] == envoy.CLIENT_HEADER
