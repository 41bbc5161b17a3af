"""The README's walk through a model of one's own, line by line as it stands there; only the ports are free ones."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from host.ports import find_free_ports

README = Path(__file__).parents[2] / "README.md"
READY_S = 150


@pytest.fixture(scope="module")
def walk() -> list[tuple[str, str]]:
    """The section's blocks: their language and their text."""
    section = README.read_text().split("\n## Your own model\n")[1].split("\n## ")[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)


def test_the_walk_through_a_model_of_ones_own_answers(walk, tmp_path):
    http, grpc, metrics = find_free_ports(3)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MILLRACE_STORE": str(tmp_path / "store"),
        "MILLRACE_KEYS": str(tmp_path / "keys"),
        "MILLRACE_HTTP_PORT": str(http),
        "MILLRACE_GRPC_PORT": str(grpc),
        "MILLRACE_METRICS_PORT": str(metrics),
        "MILLRACE_URL": f"localhost:{grpc}",
    }

    def run(line):
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    served = None
    answers = {}
    try:
        for language, block in walk:
            text = block.replace("localhost:8000", f"localhost:{http}").replace("localhost:8001", f"localhost:{grpc}")
            if language == "python":
                name = text.split("\n")[0].removeprefix("# ")
                (tmp_path / name).write_text(text)
                continue
            for line in text.splitlines():
                if line.startswith("serve "):
                    with (tmp_path / "serve.log").open("wb") as log:
                        served = subprocess.Popen(
                            f"exec {line}", shell=True, cwd=tmp_path, env=environment, stdout=log, stderr=log
                        )
                    wait_until_ready(served, http, tmp_path / "serve.log")
                else:
                    answers[line.split()[0]] = run(line)
        answers["call.py"] = run("python call.py")
    finally:
        if served is not None:
            served.send_signal(signal.SIGINT)
            served.wait(60)
    first, second = re.search(r'"rows": \[\{"y": \[([-.\d]+), ([-.\d]+)\]\}\]', answers["curl"]).groups()
    printed = [float(number) for number in re.findall(r"-?\d\.\d+(?:e-\d+)?", answers["call.py"])]
    assert printed == pytest.approx([float(first), float(second)], abs=1e-4)
    assert first[:5] in answers["infer"]


def wait_until_ready(served, port, log):
    end_s = time.monotonic() + READY_S
    with httpx.Client(base_url=f"http://localhost:{port}") as client:
        while True:
            assert served.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            try:
                if client.get("/v2/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
