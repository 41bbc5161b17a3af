"""Fork workers from one process that has imported what they all need.

Usage: python -I -u fork_server.py SOCKET MODULE,… COMMAND…

A worker that starts as an interpreter of its own imports torch: seconds of processor time, and some 280 MB (CUDA build)
that no other process shares. A forked one has it in milliseconds and shares the memory. This process starts COMMAND
(TorchServe's Java) and imports the modules meanwhile. In the place of Python, TorchServe runs fork_client.py, which
hands over what it was started with, lives as long as the worker, and ends it when it is ended itself.

Only for CPUs: what a GPU needs is not shared by forking.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import random
import re
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from services.torchserve.guard import PR_SET_PDEATHSIG, set_process_option
from services.torchserve.handover import receive

RECEIVE_S = 10.0
MADV_DONTNEED = 4
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)")


@dataclass(frozen=True)
class Child:
    """A forked worker, the client that waits for it, and what tells of its end."""

    pid: int
    client: socket.socket
    end: int


def main(path: str, modules: list[str], command: list[str]) -> int:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    java = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    )
    try:
        for module in modules:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # a collection in a worker would write to every object, and so copy its page
        release_unchanged_pages()
        serve(listener, java)
    finally:
        java.kill()
        status = java.wait()
    return status if status >= 0 else 128 - status


def serve(listener: socket.socket, java: subprocess.Popen[bytes]) -> None:
    """Fork a worker for each client until Java ends."""
    selector = selectors.DefaultSelector()
    java_end = os.pidfd_open(java.pid)
    selector.register(java_end, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == java_end:
                return
            if key.fileobj is listener:
                child = accept(listener, selector)
                if child is not None:
                    selector.register(child.client, selectors.EVENT_READ, child)
                    selector.register(child.end, selectors.EVENT_READ, child)
            elif key.data.client.fileno() >= 0:  # else both of its events came at once
                end_child(key.data, selector)


def accept(listener: socket.socket, selector: selectors.BaseSelector) -> Child | None:
    """Take one client's request and fork its worker; None if the client has gone already."""
    client, _ = listener.accept()
    client.settimeout(RECEIVE_S)
    try:
        request, streams = receive(client)
    except (OSError, ValueError):
        client.close()
        return None
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        for key in selector.get_map().values():
            os.close(key.fd)
        os.close(client.fileno())
        run_worker(request, streams)
    for stream in streams:
        os.close(stream)
    return Child(pid, client, os.pidfd_open(pid))


def run_worker(request: dict[str, Any], streams: list[int]) -> None:
    """Become what `python SCRIPT ARGUMENTS…` would be; never returns."""
    status = 1
    try:
        set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = request["arguments"]
        sys.path[:0] = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        seed_generators()
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 (whatever it is, this process must not go on as a second server)
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(status)


def seed_generators() -> None:
    """Give a forked worker random numbers of its own."""
    random.seed()
    for name, seed in (("numpy.random", "seed"), ("torch.random", "seed")):
        if name in sys.modules:
            getattr(sys.modules[name], seed)()


def end_child(child: Child, selector: selectors.BaseSelector) -> None:
    """End a worker whose client has gone, or tell the client how its worker ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)  # the one that ended by itself keeps its status
    _, status = os.waitpid(child.pid, 0)
    selector.unregister(child.client)
    selector.unregister(child.end)
    with contextlib.suppress(OSError):
        code = os.waitstatus_to_exitcode(status)
        child.client.sendall(bytes([code if code >= 0 else 128 - code]))
    child.client.close()
    os.close(child.end)


def release_unchanged_pages() -> None:
    """Give back what only the loading of libraries has read: pages of files without a change, read again when needed.

    The CUDA build maps 300 MB of libraries for GPUs in every process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.malloc_trim(0)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    start = end = 0
    is_file = False
    with open("/proc/self/smaps") as file:
        lines = file.readlines()
    for line in lines:
        mapping = _MAPPING.match(line)
        if mapping:
            start, end = int(mapping[1], 16), int(mapping[2], 16)
            is_file = mapping[4] != "0" and "w" not in mapping[3]
        elif is_file and line.startswith("Anonymous:") and int(line.split()[1]) == 0:
            libc.madvise(start, end - start, MADV_DONTNEED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [name for name in sys.argv[2].split(",") if name], sys.argv[3:]))
