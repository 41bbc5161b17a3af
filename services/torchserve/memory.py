"""How much memory processes hold, from Linux's /proc."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FRESH_S = 5.0


class SharesOfMemory:
    """The shares of processes that are asked for more often than it is worth looking at every page.

    A worker of 770 MB takes 14 ms; a load test asks twice a second, beside the calls that it measures. So only a new
    process is looked at at once; what is known is looked at again by a thread, for whoever asks next.
    """

    def __init__(self) -> None:
        self._read: dict[int, tuple[float, int]] = {}
        self._again = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")

    def add_up(self, pids: Iterable[int]) -> int:
        """Add up the shares of processes, in bytes, each as of `FRESH_S` ago or of when it was last asked for."""
        return sum(map(self._look_up, pids))

    def _look_up(self, pid: int) -> int:
        now_s = time.monotonic()
        if pid not in self._read:
            self._look(pid)
        read_s, share_bytes = self._read.get(pid, (now_s, 0))
        if now_s - read_s >= FRESH_S:
            self._read[pid] = now_s, share_bytes
            self._again.submit(self._look, pid)
        return share_bytes

    def _look(self, pid: int) -> None:
        share_bytes = read_share_bytes(pid)
        if share_bytes:
            self._read[pid] = time.monotonic(), share_bytes
        else:  # it is gone
            self._read.pop(pid, None)


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
