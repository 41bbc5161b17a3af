import ctypes
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path

from host.priority import _LIBC, _SCHED_SETATTR, yield_processor

THREADED = "import threading, sys; threading.Thread(target=sys.stdin.read).start(); print('up', flush=True)"


def test_all_threads_of_a_process_leave_the_processor_to_others():
    with subprocess.Popen([sys.executable, "-c", THREADED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        yield_processor(process.pid)
        tasks = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
        assert len(tasks) == 2
        assert {os.sched_getscheduler(task) for task in tasks} == {os.SCHED_IDLE}
        process.communicate()
    yield_processor(process.pid)  # has ended: nothing happens


def test_a_thread_that_wakes_promptly_keeps_its_niceness_and_hands_the_slice_on():
    code = (
        "import threading; from host.priority import wake_promptly; wake_promptly();"
        "thread = threading.Thread(target=input); thread.start(); print(thread.native_id, flush=True)"
    )
    with subprocess.Popen(
        ["nice", "-n", "3", sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for thread in (process.pid, int(process.stdout.readline())):
            assert read_slice(thread) == (os.SCHED_OTHER, 3, 100_000)
        process.communicate(b"\n")


def read_slice(thread):
    """Policy, niceness and slice in ns of a thread: the kernel's own answer, on kernels that have such slices."""
    attributes = ctypes.create_string_buffer(48)
    assert _LIBC.syscall({314: 315, 274: 275}[_SCHED_SETATTR[platform.machine()]], thread, attributes, 48, 0) == 0
    _, policy, _, nice, _, slice_ns, _, _ = struct.unpack("=IIQiIQQQ", attributes.raw)
    return policy, nice, slice_ns if slice_ns else 100_000
