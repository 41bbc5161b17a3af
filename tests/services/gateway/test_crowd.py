"""Ten thousand idle connections, slow readers, slow writers and half-closed sockets: others are served as before."""

from __future__ import annotations

import itertools
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest

from host.descriptors import allow_many_descriptors
from model_store.open_inference import messages
from tests.background import meanwhile
from tests.services.grpc_server.wire import (
    DATA,
    END_HEADERS,
    HEADERS,
    PREFACE,
    call,
    call_head,
    frame,
    message,
    settings,
)

NUM_IDLE, NUM_ODD = 10_000, 100
NUM_CALLS, NUM_ROUNDS = 500, 3
BAR = 1.5
CALM = 0.25
PATH = b"/inference.GRPCInferenceService/ModelInfer"
BODY = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}).encode()
HEAD = b"POST /v2/models/double/infer HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n"


def make_message() -> bytes:
    request = messages().ModelInferRequest(model_name="double")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.ones((1, 2), np.float32).tobytes())
    data: bytes = request.SerializeToString()
    return data


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    command = [sys.executable, "-m", "tests.services.gateway.crowded_server"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grpc_port, http_port = map(int, process.stdout.readline().split())
        yield process, grpc_port, http_port
        assert process.poll() is None, "the crowd ended the server"
        process.communicate("")


def connect(port: int, *parts: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(b"".join(parts))
    return connection


@contextmanager
def crowd(grpc_port: int, http_port: int) -> Iterator[None]:
    """All of them at once; those who write slowly go on writing."""
    request = make_message()
    with ExitStack() as stack:

        def add(*arguments: object) -> socket.socket:
            return stack.enter_context(connect(*arguments))  # type: ignore[arg-type]

        for number in range(NUM_IDLE):
            add(http_port) if number % 2 else add(grpc_port, PREFACE, settings())
        writers = []
        for _ in range(NUM_ODD):
            # Readers who take nothing: answers to many requests, and a window that no byte of an answer fits into.
            add(http_port, *[HEAD % len(BODY), BODY] * 50)
            add(
                grpc_port,
                PREFACE,
                settings(initial_window_size=0),
                *[call(2 * n + 1, PATH, request) for n in range(50)],
            )
            # Half-closed: after a whole request, and in the middle of one.
            add(http_port, HEAD % len(BODY), BODY).shutdown(socket.SHUT_WR)
            add(http_port, HEAD % len(BODY), BODY[:9]).shutdown(socket.SHUT_WR)
            add(grpc_port, PREFACE, settings(), call(1, PATH, request)).shutdown(socket.SHUT_WR)
            writers.append((add(http_port, HEAD % 100_000), b"{"))
            head = frame(HEADERS, END_HEADERS, 1, call_head(PATH))
            beginning = frame(DATA, 0, 1, message(b"\0" * 100_000)[:5])
            writers.append((add(grpc_port, PREFACE, settings(), head, beginning), frame(DATA, 0, 1, b"\0")))
        with meanwhile(partial(write_slowly, writers)):
            yield


def write_slowly(writers: list[tuple[socket.socket, bytes]], stop: threading.Event) -> None:
    """Write one byte of each in turn, a round a second: all at one moment would be a load, not slowness."""
    for connection, piece in itertools.cycle(writers):
        if stop.wait(1 / len(writers)):
            return
        connection.sendall(piece)


def measure_p99(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(NUM_CALLS):
        started_s = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started_s)
    return float(np.percentile(times, 99))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_others_are_served_as_before(server):
    process, grpc_port, http_port = server
    if allow_many_descriptors() < NUM_IDLE + 10 * NUM_ODD + 500:
        pytest.skip("so many descriptors may not be opened here; raise `ulimit -Hn`")
    request, before, crowded = make_message(), {}, {}
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel, httpx.Client() as client:
        infer = channel.unary_unary(PATH.decode())
        ways = {
            "grpc": lambda: infer(request, timeout=10),
            "http": lambda: client.post(
                f"http://127.0.0.1:{http_port}/v2/models/double/infer", content=BODY
            ).raise_for_status(),
        }
        for ask in ways.values():
            measure_p99(ask)
        num_descriptors = psutil.Process(process.pid).num_fds()
        for _ in range(NUM_ROUNDS):
            for name, ask in ways.items():
                before.setdefault(name, []).append(measure_p99(ask))
            with crowd(grpc_port, http_port):
                wait_for(lambda: psutil.Process(process.pid).num_fds() > NUM_IDLE)
                wait_for(
                    lambda: measure_cpu(process.pid) < CALM
                )  # the readers' requests are answered, as far as they let
                for name, ask in ways.items():
                    crowded.setdefault(name, []).append(measure_p99(ask))
            wait_for(lambda: psutil.Process(process.pid).num_fds() <= num_descriptors + 2)
    ratios = {
        name: statistics.median(one / other for one, other in zip(crowded[name], before[name], strict=True))
        for name in ways
    }
    print({name: f"{ratio:.2f}" for name, ratio in ratios.items()}, "p99 ms", before, crowded)
    assert max(ratios.values()) <= BAR, ratios


def measure_cpu(pid: int) -> float:
    """Share of a core that a process has used within a second."""
    return psutil.Process(pid).cpu_percent(1) / 100


def wait_for(is_so: Callable[[], bool], timeout_s: float = 120) -> None:
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, "not so many connections are open there"
        time.sleep(0.1)
