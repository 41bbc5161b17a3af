"""Starting, failing to start, losing workers, and ending without a trace."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import zipfile

import grpc
import httpx
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from model_store.manifest import ReleaseIndex
from model_store.open_inference import messages
from model_store.release import file_digest
from model_store.signing import Keyring
from services.cli import app
from services.torchserve.server import TorchServe
from tests.e2e.conftest import Released, Served

METHOD = "/inference.GRPCInferenceService/ModelInfer"


def scale_request(value=1.0):
    request = messages().ModelInferRequest(model_name="scale")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(np.full((1, 4), value, np.float32).tobytes())
    return request.SerializeToString()


def doubled(response):
    return np.frombuffer(messages().ModelInferResponse.FromString(response).raw_output_contents[0], np.float32)[0]


def infer_with_patience(served, value, patience_s):
    end_s = time.monotonic() + patience_s
    with grpc.insecure_channel(served.grpc) as channel:
        infer = channel.unary_unary(METHOD)
        while True:
            call = infer.future(scale_request(value), timeout=10)
            if call.exception() is None:
                return doubled(call.result())
            if call.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end_s:
                raise call.exception()
            time.sleep(0.3)


def leftovers(processes):
    _, alive = psutil.wait_procs(processes, timeout=5)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_answers_or_refuses_properly_while_a_worker_is_killed_and_recovers_by_itself(served):
    (worker,) = served.workers("scale")
    stop = threading.Event()
    answers, refusals = [], []

    def call(number):
        with grpc.insecure_channel(served.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            infer = channel.unary_unary(METHOD)
            while not stop.is_set():
                try:
                    answers.append(doubled(infer(scale_request(number), timeout=60)) == 2 * number)
                except grpc.RpcError as error:
                    refusals.append(error.code())

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and len(answers) < 10:
        time.sleep(0.05)
    before = len(answers)
    worker.kill()
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and not (served.workers("scale") and len(answers) > before + 100):
        time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join()
    assert before > 0
    assert len(answers) > before + 100
    assert all(answers)
    assert set(refusals) <= {grpc.StatusCode.UNAVAILABLE}


@pytest.fixture(scope="module")
def alone(released, tmp_path_factory):
    """A server of `scale` alone, which loses a worker, then TorchServe, and then ends, test by test."""
    served = Served(released, tmp_path_factory.mktemp("alone"), "scale")
    yield served
    served.stop()


def test_a_worker_that_was_killed_is_ready_again_only_when_it_answers(alone):
    (worker,) = alone.workers("scale")
    worker.kill()
    seen = []
    end_s = time.monotonic() + 60
    with httpx.Client(base_url=f"http://{alone.http}", timeout=30) as client:
        while seen[-2:] != [503, 200] and time.monotonic() < end_s:
            status = client.get("/v2/health/ready").status_code
            if seen[-1:] != [status]:
                seen.append(status)
            time.sleep(0.01)
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        answer = client.post("/v2/models/scale/infer", json=body)
    metrics = httpx.get(alone.metrics).text
    assert seen[-2:] == [503, 200]
    assert (answer.status_code, answer.json()["outputs"][0]["data"]) == (200, [2, 4, 6, 8])
    assert 'millrace_worker_restarts_total{model="scale",version="1-eager"} 1.0' in metrics
    memory = re.search(r'millrace_worker_resident_bytes\{model="scale",version="1-eager"\} (\S+)', metrics)
    assert 50e6 < float(memory[1]) < 2e9
    load = re.search(r'millrace_worker_load_seconds\{model="scale",version="1-eager"\} (\S+)', metrics)
    assert 0 < float(load[1]) < 150
    assert re.search(r'millrace_build_info\{torch="2\.\S+",torchserve="0\.12\.0",version="\S+"\} 1\.0', metrics)
    assert re.search(r"memory   scale 1-eager: \d+ MiB\n  memory   \d+ MiB in all", alone.log.read_text())


def test_ctrl_c_leaves_nothing_behind_and_death_of_torchserve_is_survived(alone):
    (java,) = [process for process in alone.processes() if process.name() == "java"]
    java.kill()
    end_s = time.monotonic() + 90
    while "millrace_engine_restarts_total 1.0" not in httpx.get(alone.metrics).text:  # workers may answer until then
        assert time.monotonic() < end_s
        time.sleep(0.1)
    assert infer_with_patience(alone, 3, patience_s=90) == 6
    processes = alone.processes()
    folders = {process.cwd() for process in processes if process.name() == "java"}
    started_s = time.monotonic()
    alone.stop(signal.SIGINT)
    assert leftovers(processes) == []
    assert time.monotonic() - started_s < 15
    assert not any(os.path.exists(folder) for folder in folders)
    assert alone.process.returncode == 0


@pytest.mark.parametrize(
    ("kind", "option"), [("http", "--http-port"), ("grpc", "--grpc-port"), ("metrics", "--metrics-port")]
)
def test_a_taken_port_is_a_clear_error_before_anything_starts(released, kind, option, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(released.keys))
    monkeypatch.setattr(TorchServe, "start", lambda *_: pytest.fail("TorchServe was started"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = dict.fromkeys(("--http-port", "--grpc-port", "--metrics-port"), "0") | {option: str(port)}
        _, *arguments = released.command("scale", *(part for item in ports.items() for part in item))
        done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert f"port {port} on 127.0.0.1 is taken by another process; choose another with {option}" in done.stderr


def test_a_worker_that_does_not_start_shows_its_own_traceback(released, tmp_path):
    broken = Released(tmp_path / "store", released.keys)
    shutil.copytree(released.store / "scale", broken.store / "scale")
    folder = broken.store / "scale" / "1"
    archive = folder / "scale-1-eager.mar"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(folder / "new", "w") as changed:
        for item in whole.infolist():
            data = whole.read(item)
            if item.filename == "handlers/tensor.py":
                data += b"\nraise ArithmeticError('the handler cannot count')\n"
            changed.writestr(item, data)
    (folder / "new").rename(archive)
    refused = start(broken)
    assert refused.returncode == 1
    assert "is not the file that was signed" in refused.stderr

    index = ReleaseIndex.model_validate_json((folder / "release.json").read_bytes())
    signed = index.model_copy(update={"archives": {"eager": file_digest(archive)}}).model_dump_json().encode()
    (folder / "release.json").write_bytes(signed)
    (folder / "release.json.sig").write_bytes(Keyring(released.keys).sign(signed))
    failed = start(broken)
    assert failed.returncode == 1
    assert "a worker of scale 1-eager did not start:" in failed.stderr
    assert "ArithmeticError: the handler cannot count" in failed.stderr
    assert 'tensor.py", line' in failed.stderr


def start(released):
    ports = [f"--{kind}-port=0" for kind in ("http", "grpc", "metrics")]
    return subprocess.run(
        released.command("scale", *ports),
        env=released.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
