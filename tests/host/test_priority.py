import os
import subprocess
import sys
from pathlib import Path

from host.priority import yield_processor

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
