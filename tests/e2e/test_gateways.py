"""Two gateway processes on one port, in front of a real TorchServe."""

import re
import shutil
import signal
import threading
import time

import grpc
import httpx
import numpy as np
import psutil
import pytest

from model_store.open_inference import INFER_PATH, messages
from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.conftest import Released, Served, describe_scale
from training.release.cli import release_model

WAIT_S = 120
# Each of its own, else all channels of a process share one connection.
ALONE = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture(scope="module")
def store(released, tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("gateways") / "store", Keyring(released.keys))
    shutil.copytree(released.store / "scale", store.root / "scale")
    return store


@pytest.fixture(scope="module")
def both(released, store, tmp_path_factory):
    served = Served(Released(store.root, released.keys), tmp_path_factory.mktemp("both"), "scale", "--gateways", "2")
    yield served
    served.stop()


def ask(infer):
    """Which version answers, and what it multiplies by."""
    request = messages().ModelInferRequest(model_name="scale")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(np.ones(4, np.float32).tobytes())
    data = infer(request.SerializeToString(), timeout=60)
    answer = messages().ModelInferResponse.FromString(data)
    return answer.model_version, float(np.frombuffer(answer.raw_output_contents[0], np.float32)[0])


def ask_anew(served):
    """Ask over a connection of its own."""
    with grpc.insecure_channel(served.grpc, ALONE) as channel:
        return ask(channel.unary_unary(INFER_PATH))


def read_counts(served):
    """Calls by gRPC in all, and by process."""
    text = httpx.get(served.metrics, timeout=30).text
    total = sum(float(value) for value in re.findall(r'millrace_requests_total{.*protocol="grpc".*} (\S+)', text))
    return total, [float(value) for value in re.findall(r'millrace_gateway_requests_total{gateway="."} (\S+)', text)]


def find_follower(served):
    (follower,) = [one for one in served.processes() if "services.gateways.follower" in one.cmdline()]
    return follower


def wait_until(condition):
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.1)


def test_connections_are_answered_by_both_and_every_call_is_counted_once(both):
    before, before_each = read_counts(both)
    assert {ask_anew(both) for _ in range(40)} == {("1-eager", 2.0)}
    after, after_each = read_counts(both)
    assert after - before == 40
    of_each = [now - then for now, then in zip(after_each, before_each, strict=True)]
    assert sum(of_each) == 40
    assert min(of_each) > 0


def test_a_new_release_reaches_both(both, store):
    release_model(describe_scale(3), store, "cpu", ["eager"])
    wait_until(lambda: {ask_anew(both) for _ in range(20)} == {("2-eager", 3.0)})
    with httpx.Client(base_url=f"http://{both.http}") as client:
        assert client.get("/v2/health/ready").status_code == 200


def test_one_is_killed_and_only_its_own_calls_fail(both):
    stop, counts = threading.Event(), [0] * 16
    failures = [[] for _ in counts]

    def call(number):
        while not stop.is_set():
            # After a failure another channel: gRPC goes on for a moment to send calls over a connection that is closed.
            with grpc.insecure_channel(both.grpc, [*ALONE, ("grpc.enable_retries", 0)]) as channel:
                infer = channel.unary_unary(INFER_PATH)
                try:
                    while not stop.is_set():
                        ask(infer)
                        counts[number] += 1
                except grpc.RpcError as error:
                    failures[number].append(f"{error.code().name}: {error.details()}")

    callers = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for caller in callers:
        caller.start()
    wait_until(lambda: min(counts) > 5)
    follower = find_follower(both)
    num_its_own = len({one.raddr for one in follower.net_connections("tcp") if one.raddr})
    follower.kill()
    before = list(counts)
    wait_until(lambda: min(now - then for now, then in zip(counts, before, strict=True)) > 5)
    stop.set()
    for caller in callers:
        caller.join()
    failed = [texts for texts in failures if texts]
    assert 0 < len(failed) <= num_its_own
    assert all(len(texts) == 1 and texts[0].startswith("UNAVAILABLE") for texts in failed), failed
    wait_until(lambda: 'millrace_gateway_up{gateway="1"} 1.0' in httpx.get(both.metrics, timeout=30).text)
    before, before_each = read_counts(both)
    assert {ask_anew(both) for _ in range(40)} == {("2-eager", 3.0)}
    after, after_each = read_counts(both)
    assert after - before == 40
    assert after_each[1] > before_each[1]
    assert '"gateway": 1, "status": -9' in both.log.read_text()


def test_both_end_together_and_leave_nothing_behind(both):
    processes = both.processes()
    both.stop(signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert alive == []
    assert both.process.returncode == 0
