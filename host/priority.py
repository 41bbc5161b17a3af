"""Processes that run only when no other wants the processor."""

from __future__ import annotations

import os
from pathlib import Path


def yield_processor(pid: int) -> None:
    """Give a process's threads, and those they will start, only what the others leave (SCHED_IDLE); for good.

    Nothing happens to one that has ended, or where the kernel knows no such policy.
    """
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
        except OSError:
            continue
