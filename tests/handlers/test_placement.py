import os
import subprocess
import sys

import pytest

from handlers.placement import claim_gpu

HOLDER = """
import sys, pathlib
from handlers.placement import claim_gpu
print(claim_gpu(sys.argv[2:], pathlib.Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""
NAMES = ("MIG-a", "MIG-b")


@pytest.fixture
def start(tmp_path):
    """Start another worker that claims; returns the process and what it got."""
    started = []

    def start(*names):
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "gpus"), *names]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1], started[-1].stdout.readline().strip()

    yield start
    for process in started:
        process.communicate()


def test_workers_are_spread_evenly_and_a_dead_ones_place_is_free_again(start, tmp_path):
    processes, claimed = zip(*(start(*NAMES) for _ in range(3)), strict=True)
    assert claimed == ("MIG-a", "MIG-b", "MIG-a")
    processes[0].kill()
    processes[2].kill()
    processes[0].wait(), processes[2].wait()
    assert start(*NAMES)[1] == "MIG-a"
    held = sorted(path.name for path in (tmp_path / "gpus").iterdir() if path.name != "choosing")
    assert [name.split("-")[0] for name in held] == ["0", "1"]


def test_a_claim_is_this_processs_own(tmp_path):
    assert claim_gpu(["GPU-x"], tmp_path / "gpus") == "GPU-x"
    assert (tmp_path / "gpus" / f"0-{os.getpid()}").exists()
