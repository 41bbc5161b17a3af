"""Whatever ends, nothing of it stays."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from services.torchserve import guard

# A command with a child of its own session, which closes its pipes: as hard to find as a process can be.
COMMAND = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(7)
"""


@pytest.fixture
def start(tmp_path):
    started = []

    def start_guard(seconds):
        folder = tmp_path / "run"
        folder.mkdir()
        (tmp_path / "beside").mkdir()
        folders = f"{folder}{os.pathsep}{tmp_path / 'beside'}"
        command = [sys.executable, "-I", "-S", guard.__file__, folders, sys.executable, "-c", COMMAND, str(seconds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        grandchild = psutil.Process(int(process.stdout.readline()))
        return process, [*psutil.Process(process.pid).children(), grandchild], folder

    yield start_guard
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()


def all_gone(processes):
    return psutil.wait_procs(processes, timeout=5)[1] == []


def test_ends_everything_when_the_parents_pipe_closes(start):
    process, descendants, folder = start(100)
    process.stdin.close()
    assert process.wait(5) == 0
    assert all_gone(descendants)
    assert list(folder.parent.iterdir()) == []


def test_ends_orphans_when_the_command_ends_and_passes_its_status_on(start):
    process, descendants, folder = start(0.1)
    assert process.wait(5) == 7
    assert all_gone(descendants)
    assert not folder.exists()


def test_ends_everything_on_sigterm(start):
    process, descendants, folder = start(100)
    process.terminate()
    assert process.wait(5) == 128 + signal.SIGTERM
    assert all_gone(descendants)
    assert not folder.exists()


def test_the_command_dies_with_a_guard_that_is_killed(start):
    process, (command, grandchild), _ = start(100)
    process.kill()
    process.wait(5)
    time.sleep(0.1)
    assert all_gone([command])
    grandchild.kill()
