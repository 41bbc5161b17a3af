"""How much memory processes hold, from Linux's /proc."""

from __future__ import annotations

import os
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def read_resident_bytes(pid: int) -> int:
    """Read a process's resident memory, shared pages included; 0 once it is gone. Takes microseconds."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def read_share_bytes(pid: int) -> int:
    """Read a process's share of the memory: pages that several processes map count in parts (PSS); 0 once it is gone.

    Shares add up to what is really held. Takes milliseconds: the kernel looks at every page.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def list_descendants(pid: int) -> list[int]:
    """List a process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found
