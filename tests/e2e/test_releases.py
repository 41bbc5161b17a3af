"""Releases come, go back and are tried out while callers keep asking: no call fails, none is answered by a stranger.

Release n multiplies by n + 1, so that an answer proves which release computed it, whatever version it names.
"""

import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest

from model_store.open_inference import SERVICE, messages
from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.conftest import Released, Served, describe_scale
from training.release.cli import release_model

NUM_CALLERS = 4
WAIT_S = 120
ROUTING = "models: {scale: {canary: {by: x-user, weights: {3-eager: %s}}}}"


@dataclass(frozen=True)
class Call:
    began_s: float
    ended_s: float
    version: str
    factor: float
    user: str


class Callers:
    """Ask for `scale` without a break, each call by another user."""

    def __init__(self, address: str) -> None:
        self.calls: list[Call] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._address = address
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(NUM_CALLERS)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        generator = random.Random(number)
        request = messages().ModelInferRequest(model_name="scale")
        request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        request.raw_input_contents.append(np.ones(4, np.float32).tobytes())
        data = request.SerializeToString()
        with grpc.insecure_channel(self._address) as channel:
            infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            while not self._stop.is_set():
                user, began_s = f"{generator.random()}", time.monotonic()
                try:
                    answer = messages().ModelInferResponse.FromString(
                        infer(data, metadata=[("x-user", user)], timeout=30)
                    )
                except grpc.RpcError as error:
                    self.failures.append(f"{error.code().name}: {error.details()}")
                    continue
                factor = float(np.frombuffer(answer.raw_output_contents[0], np.float32)[0])
                self.calls.append(Call(began_s, time.monotonic(), answer.model_version, factor, user))

    def wait_for(self, version: str) -> float:
        """Wait until a call that began now is answered by a version; return when it was."""
        began_s = time.monotonic()
        while time.monotonic() < began_s + WAIT_S:
            for call in self.calls[-NUM_CALLERS * 4 :]:
                if call.version == version and call.began_s > began_s:
                    return call.ended_s
            time.sleep(0.002)
        raise AssertionError(f"no answer by {version}; the last: {self.calls[-3:]} {self.failures[:3]}")

    def wait_for_calls(self, number: int) -> list[Call]:
        """Return so many calls that began after now."""
        began_s, first = time.monotonic(), len(self.calls)
        end_s = began_s + WAIT_S
        while True:
            found = [call for call in self.calls[first:] if call.began_s > began_s]
            if len(found) >= number:
                return found
            assert time.monotonic() < end_s, f"{len(found)} calls, {self.failures[:3]}"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def three_releases(released, tmp_path_factory) -> Released:
    """A store with releases 1 to 3 of `scale`, which multiply by 2, 3 and 4."""
    store = Store(tmp_path_factory.mktemp("releases") / "store", Keyring(released.keys))
    shutil.copytree(released.store / "scale", store.root / "scale")
    for factor in (3.0, 4.0):
        release_model(describe_scale(factor), store, "cpu", ["eager"])
    return Released(store.root, released.keys)


@pytest.mark.parametrize(
    ("num_cycles", "num_canary_calls"), [(1, 1500), pytest.param(10, 20_000, marks=pytest.mark.slow)]
)
def test_rollouts_rollbacks_and_canaries_under_load_lose_no_call(
    three_releases, tmp_path, num_cycles, num_canary_calls
):
    source = Store(three_releases.store, Keyring(three_releases.keys))
    live = Store(tmp_path / "live", source.keyring)
    source.copy("scale", 1, live.root)
    routing = tmp_path / "routing.yaml"
    routing.touch()
    served = Served(Released(live.root, source.keyring.folder), tmp_path, "scale", "--routing", str(routing))
    took_s = {"rollout": [], "rollback": []}
    try:
        with Callers(served.grpc) as callers:
            callers.wait_for("1-eager")
            for cycle in range(num_cycles):
                began_s = time.monotonic()
                if cycle == 0:
                    source.copy("scale", 2, live.root)
                else:
                    run_store("restore", "scale/2", live)
                took_s["rollout"].append(callers.wait_for("2-eager") - began_s)
                assert {call.version for call in callers.wait_for_calls(50)} == {"2-eager"}
                began_s = run_store("rollback", "scale", live)
                took_s["rollback"].append(callers.wait_for("1-eager") - began_s)
                assert {call.version for call in callers.wait_for_calls(50)} == {"1-eager"}
            routing.write_text(ROUTING % 0.2)  # before its release: else that would take over
            source.copy("scale", 3, live.root)
            callers.wait_for("3-eager")
            tried = callers.wait_for_calls(num_canary_calls)
            run_store("restore", "scale/2", live)
            callers.wait_for("2-eager")
    finally:
        served.stop()
    print({name: [round(seconds, 3) for seconds in found] for name, found in took_s.items()}, len(callers.calls))
    assert callers.failures == []
    assert all(call.factor == int(call.version[0]) + 1 for call in callers.calls)
    if num_cycles > 1:  # alone on the machine; beside other tests a second says nothing
        assert max(took_s["rollback"]) < 1
    share = sum(call.version == "3-eager" for call in tried) / len(tried)
    print("canary share", round(share, 4), "of", len(tried))
    assert abs(share - 0.2) < 4 * (0.2 * 0.8 / len(tried)) ** 0.5
    assert {call.version for call in tried} == {"1-eager", "3-eager"}


def run_store(verb: str, name: str, store: Store) -> float:
    """Run `store`; return when its act was there."""
    command = [str(Path(sys.executable).with_name("store")), verb, name, "--store", str(store.root)]
    acts = store.acts("scale").folder
    before = set(acts.glob("*.json"))
    environment = Released(store.root, store.keyring.folder).environment
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while set(acts.glob("*.json")) == before:
            assert process.poll() in (None, 0), f"{verb} failed"
            time.sleep(0.002)
        return time.monotonic()
