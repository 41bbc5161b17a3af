"""Run one command and leave nothing of it behind, however this process or its parent ends.

Usage: python -I -S guard.py FOLDER[:FOLDER…] COMMAND…   (standard input: a pipe that only the parent holds open)

TorchServe's workers are children of its Java process and outlive it when it is killed while they compute. This process
is the reaper of all of them: when the pipe closes (the parent stopped, crashed or was killed) or the command ends, it
kills the whole process group, reaps every orphan, deletes the folders and leaves with the command's exit status. Should
this process itself be killed, the kernel kills the command (PR_SET_PDEATHSIG), and workers end when they lose it.

Standard library only: it runs without site-packages, so that it starts in milliseconds and stays small.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def set_process_option(option: int, value: int) -> None:
    """Call Linux's prctl(2).

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def wait_for_end(child: subprocess.Popen[bytes]) -> None:
    """Return when the child has ended or standard input was closed by the parent."""
    poller = select.poll()
    process = os.pidfd_open(child.pid)
    poller.register(process, select.POLLIN)
    poller.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    poller.poll()
    os.close(process)


def list_children() -> list[int]:
    """List the children of this process, adopted orphans among them."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]


def end_group(leader: int) -> None:
    """Kill a process group, then every descendant that had left it, and reap them all."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    while children := list_children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def main(folders: str, command: list[str]) -> int:
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    os.umask(0o077)  # sockets too are for this user only
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=lambda: set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        wait_for_end(child)
        status = child.poll()
    finally:
        end_group(child.pid)
        for folder in folders.split(os.pathsep):
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if status is None else status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
