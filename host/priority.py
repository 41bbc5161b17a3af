"""When a thread gets the processor: only when no other wants it, or soon after it wakes."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

_LIBC = ctypes.CDLL(None)
# Neither Python nor the C library has a function for it.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SHORTEST_SLICE_NS = 100_000


def yield_processor(pid: int) -> None:
    """Give a process's threads, and those they will start, only what the others leave (SCHED_IDLE); for good.

    Nothing happens to one that has ended, or where the kernel knows no such policy.
    """
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
        except OSError:
            continue


def wake_promptly() -> None:
    """Have the kernel run this thread, and those it will start, soon after it wakes: in short slices, no larger share.

    Takes no privilege. Nothing happens on another kernel than Linux 6.12 or later. Source: sched_setattr(2),
    `sched_runtime` of a normal thread.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is not None and os.sched_getscheduler(0) == os.SCHED_OTHER:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
        attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, 0, nice, 0, _SHORTEST_SLICE_NS, 0, 0)
        _LIBC.syscall(number, 0, attributes, 0)
