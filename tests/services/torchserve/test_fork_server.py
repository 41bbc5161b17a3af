"""Workers that are forked behave as interpreters of their own."""

import json
import os
import random
import subprocess
import sys
import time

import psutil
import pytest

from services.torchserve import fork_client, fork_server

# Says what it was given and waits; ends with the status that standard input names.
SCRIPT = """
import json, os, random, sys
import shared
said = {"arguments": sys.argv[1:], "folder": os.getcwd(), "place": os.environ.get("PLACE"), "pid": os.getpid(),
        "name": __name__, "random": random.random(), "modules": "wave" in sys.modules}
print(json.dumps(said), flush=True)
print("to stderr", file=sys.stderr)
sys.exit(int(sys.stdin.readline()))
"""


@pytest.fixture
def server(tmp_path):
    command = [sys.executable, "-I", "-u", fork_server.__file__, str(tmp_path / "socket"), "wave", "cat"]
    # The command inherits no input: it ends at once unless it is given some.
    command[-1:] = [sys.executable, "-c", "import time; time.sleep(60); raise SystemExit(7)"]
    process = subprocess.Popen(command)
    while not (tmp_path / "socket").exists():
        time.sleep(0.01)
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


@pytest.fixture
def start(server, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "worker.py").write_text(SCRIPT)
    (tmp_path / "work" / "shared.py").write_text("")
    started = []

    def start_worker():
        command = [sys.executable, "-I", "-S", fork_client.__file__, str(tmp_path / "socket")]
        pipe = subprocess.PIPE
        client = subprocess.Popen(
            [*command, str(tmp_path / "worker.py"), "--port", "9"],
            cwd=tmp_path / "work",
            env={"PLACE": "here", "PYTHONPATH": str(tmp_path / "work")},
            text=True,
            **dict.fromkeys(("stdin", "stdout", "stderr"), pipe),
        )
        started.append(client)
        return client, json.loads(client.stdout.readline())

    yield start_worker
    for client in started:
        client.kill()
        client.communicate()


def is_gone(pid):
    return psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)[1] == []


def test_a_worker_has_its_own_arguments_environment_folder_streams_and_status(start, tmp_path):
    client, said = start()
    wanted = {"arguments": ["--port", "9"], "folder": str(tmp_path / "work"), "place": "here", "name": "__main__"}
    assert wanted.items() <= said.items()
    assert said["modules"]  # imported before, once for all
    assert said["pid"] not in (client.pid, os.getpid())
    _, errors = client.communicate("5\n")
    assert (errors, client.returncode) == ("to stderr\n", 5)


def test_workers_share_no_random_numbers(start):
    assert len({start()[1]["random"], start()[1]["random"], random.random()}) == 3


def test_ending_the_client_ends_its_worker_alone(start):
    (first, first_said), (second, second_said) = start(), start()
    first.kill()
    assert is_gone(first_said["pid"])
    assert psutil.pid_exists(second_said["pid"])
    second.communicate("0\n")
    assert second.returncode == 0


def test_a_killed_worker_ends_its_client(start):
    client, said = start()
    psutil.Process(said["pid"]).kill()
    assert client.wait(5) == 128 + 9


def test_workers_end_with_the_server_and_the_server_with_its_command(server, start):
    client, said = start()
    (command,) = [process for process in server.children() if process.pid != said["pid"]]
    command.kill()
    assert is_gone(said["pid"])
    assert client.wait(5) != 0
