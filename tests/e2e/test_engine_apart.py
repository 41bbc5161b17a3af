"""TorchServe runs below `serve engine`, a process apart from its gateway, as in another container."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import httpx
import psutil
import pytest

from services.torchserve.engine_folder import SOCKET_NAME
from tests.e2e.conftest import Served
from tests.e2e.test_life_and_death import METHOD, infer_with_patience, scale_request

WAIT_S = 60


class Apart:
    """An engine, which is started, killed with all below it as a container is, and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("serve")), "engine", str(self.folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: (self.folder / SOCKET_NAME).exists())

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def kill(self) -> None:
        for process in [psutil.Process(self._process.pid), *self.processes()]:
            process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WAIT_S)


def wait_until(condition):
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.fixture
def engine():
    with TemporaryDirectory(prefix="apart-") as folder:
        engine = Apart(Path(folder) / "engine")
        engine.start()
        yield engine
        assert engine.stop() == 0


def test_answers_refuses_while_its_engine_is_dead_comes_back_by_itself_and_leaves_nothing(released, tmp_path, engine):
    served = Served(released, tmp_path, "scale", "--engine", str(engine.folder))
    try:
        assert infer_with_patience(served, 3.0, 0) == 6.0
        assert {"java"} & {process.name() for process in engine.processes()}
        assert psutil.Process(served.process.pid).children() == []
        metrics = httpx.get(served.metrics).text
        assert 'millrace_worker_resident_bytes{model="scale",version="1-eager"}' in metrics  # both are seen from here
        engine.kill()
        with grpc.insecure_channel(served.grpc) as channel:
            call = channel.unary_unary(METHOD).future(scale_request(), timeout=10)
            assert call.exception().code() == grpc.StatusCode.UNAVAILABLE
        assert httpx.get(f"http://{served.http}/v2/health/ready").status_code == 503
        assert httpx.get(f"http://{served.http}/v2/health/live").status_code == 200
        engine.start()
        assert infer_with_patience(served, 4.0, WAIT_S) == 8.0
        wait_until(lambda: httpx.get(f"http://{served.http}/v2/health/ready").status_code == 200)
        assert "millrace_engine_restarts_total 1.0" in httpx.get(served.metrics).text
        served.process.kill()
        wait_until(lambda: not engine.processes())
        assert [path.name for path in engine.folder.iterdir()] == [SOCKET_NAME]
    finally:
        served.stop()


def test_says_what_is_missing_where_there_is_no_engine(released, tmp_path):
    command = released.command("scale", "--engine", str(tmp_path / "none"), "--http-port=0", "--grpc-port=0")
    finished = subprocess.run(
        [*command, "--metrics-port=0"], env=released.environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert f"serve: there is no engine at {tmp_path / 'none'} (No such file or directory); run" in finished.stderr
