"""Nodes that sleep, and callers that count what became of their calls."""

import asyncio
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest

from model_store.open_inference import SERVICE, messages
from services.client.wire import encode_infer_request

BODY = encode_infer_request("classifier", {"x": np.ones((1, 4), np.float32)})
METHOD = f"/{SERVICE}/ModelInfer"
READY_S = 20


def sleeping_node(**options):
    """Make what starts a node: its command line by addresses and ready file."""
    given = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]

    def command(node, ready):
        ports = ["--http-port", str(node.http_port), "--grpc-port", str(node.grpc_port)]
        place = ["--host", node.host, *ports, "--ready-file", str(ready)]
        return [sys.executable, "-m", "tests.k8s.sleeping_node", *place, *given]

    return command


def count_healthy(edge):
    """Ask the edge how many of its gRPC endpoints it finds healthy."""
    with urllib.request.urlopen(f"http://127.0.0.1:{edge.admin_port}/clusters", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(line.startswith("grpc") and line.endswith("health_flags::healthy") for line in lines)


def wait_for_edge(edge, num_healthy=None):
    """Wait until the edge finds so many nodes healthy, all by default; return the seconds that it took."""
    wanted = len(edge.nodes) + len(edge.canary) + len(edge.mirror) if num_healthy is None else num_healthy
    started_s = time.monotonic()
    while time.monotonic() - started_s < READY_S:
        try:
            if count_healthy(edge) == wanted:
                return time.monotonic() - started_s
        except OSError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the edge did not find {wanted} nodes healthy")


def open_channel(edge, trust=None):
    options = [("grpc.use_local_subchannel_pool", 1)]  # otherwise all channels to one edge share a connection
    if trust is None:
        return grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}", options)
    pem = trust.caller.read_bytes()
    credentials = grpc.ssl_channel_credentials(trust.callers.path.read_bytes(), pem, pem)
    return grpc.aio.secure_channel(f"localhost:{edge.port}", credentials, options)


async def call(channel, key="web-key", timeout_s=20, **headers):
    """Call once and return the release that answered."""
    metadata = (("x-api-key", key), *((name.replace("_", "-"), value) for name, value in headers.items()))
    answer = await channel.unary_unary(METHOD)(BODY, metadata=metadata, timeout=timeout_s)
    return int(messages().ModelInferResponse.FromString(answer).model_version.partition("-")[0])


@dataclass
class Outcome:
    """When each answered call ended, after how long, by which release; and what the others failed with."""

    started_s: float = field(default_factory=time.monotonic)
    ended_s: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    releases: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    @property
    def num_calls(self):
        return len(self.seconds) + len(self.errors)

    def describe(self, what):
        """Print the figures, which `pytest -rP` shows."""
        worst, p99 = max(self.seconds), np.quantile(self.seconds, 0.99)
        print(
            f"{what}: {self.num_calls} calls in {time.monotonic() - self.started_s:.1f} s, {len(self.errors)} failed, "
            f"p99 {1000 * p99:.0f} ms, slowest {1000 * worst:.0f} ms"
        )


async def call_until(edge, is_over, *, num_callers, trust=None, key="web-key", pause_s=0.0):
    """Call again and again until it is over; each caller has a connection of its own and waits for its answers."""
    outcome = Outcome()

    async def caller():
        async with open_channel(edge, trust) as channel:
            while not is_over.is_set():
                started_s = time.monotonic()
                try:
                    outcome.releases.append(await call(channel, key))
                    outcome.ended_s.append(time.monotonic())
                    outcome.seconds.append(outcome.ended_s[-1] - started_s)
                except grpc.aio.AioRpcError as error:
                    outcome.errors.append(f"{error.code().name}: {error.details()}")
                await asyncio.sleep(pause_s)

    await asyncio.gather(*(caller() for _ in range(num_callers)))
    return outcome


def under_load(edge, change, *, num_callers=4, trust=None, pause_s=0.0, lead_s=1.0):
    """Make a change while callers call; return what they saw and what the change returned.

    The callers have the thread: processes that the change starts end with the thread that started them.
    """
    is_over = threading.Event()
    calls = call_until(edge, is_over, num_callers=num_callers, trust=trust, pause_s=pause_s)
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(asyncio.run, calls)
        try:
            time.sleep(lead_s)
            result = change()
            time.sleep(0.5)
        finally:
            is_over.set()
        return calling.result(), result
