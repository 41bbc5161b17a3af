import mmap
import subprocess
import sys
import threading

import pytest

from services.torchserve import memory
from services.torchserve.memory import FRESH_S, SharesOfMemory, read_share_bytes

SIZE = 32 * 2**20
HOLDER = """
import mmap, sys
file = open(sys.argv[1], "rb")
pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print(sum(pages[::4096]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shared_file(tmp_path):
    file = tmp_path / "shared"
    file.write_bytes(bytes(SIZE))
    return file


@pytest.fixture
def holder(shared_file):
    """A process that has mapped the shared file and touched all of it."""
    command = [sys.executable, "-c", HOLDER, str(shared_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_a_page_of_two_processes_counts_half_in_each(holder, shared_file):
    alone = read_share_bytes(holder.pid)
    with shared_file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        assert sum(pages[::4096]) == 0
        assert alone - read_share_bytes(holder.pid) == pytest.approx(SIZE / 2, rel=0.1)
    assert read_share_bytes(holder.pid) == pytest.approx(alone, rel=0.1)


def test_a_process_that_is_gone_has_no_share(holder):
    holder.stdin.close()
    holder.wait()
    assert read_share_bytes(holder.pid) == 0
    assert SharesOfMemory().add_up([holder.pid]) == 0


@pytest.fixture
def now_s(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(memory.time, "monotonic", lambda: now_s[0])
    return now_s


@pytest.fixture
def shares(monkeypatch):
    """What processes hold, by id; any other is gone."""
    shares = {1: 10, 2: 5}
    monkeypatch.setattr(memory, "read_share_bytes", lambda pid: shares.get(pid, 0))
    return shares


@pytest.fixture
def reader(monkeypatch):
    """A reader whose thread is this one, so that what it reads is there when it is asked again."""
    reader = SharesOfMemory()
    monkeypatch.setattr(reader._again, "submit", lambda look, pid: look(pid))
    return reader


def test_pages_are_looked_at_again_only_after_a_while(reader, shares, now_s):
    assert reader.add_up([1, 2]) == 15
    shares |= {1: 20}
    now_s[0] += 0.9 * FRESH_S
    assert reader.add_up([1, 2]) == 15
    assert reader.add_up([1]) == 10
    now_s[0] += 0.1 * FRESH_S
    reader.add_up([1, 2])
    assert reader.add_up([1, 2]) == 25


def test_nobody_waits_until_a_known_process_was_looked_at_again(shares, now_s):
    reader = SharesOfMemory()
    assert reader.add_up([1]) == 10
    shares |= {1: 20}
    is_free = threading.Event()
    reader._again.submit(is_free.wait)
    now_s[0] += FRESH_S
    assert reader.add_up([1]) == 10
    is_free.set()
    reader._again.shutdown()
    assert reader.add_up([1]) == 20


def test_a_process_that_has_ended_is_forgotten(reader, shares, now_s):
    reader.add_up([1, 2])
    del shares[1]
    now_s[0] += FRESH_S
    reader.add_up([1, 2])
    assert reader.add_up([1, 2]) == 5
    assert list(reader._read) == [2]
