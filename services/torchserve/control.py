"""Datagrams to workers' own sockets, for what must reach them during a call; see handlers/control.py."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from pathlib import Path

# A worker reads between two steps; a datagram socket holds few messages until then.
_RETRY_S = 0.001
_MAX_KEPT = 4096


class WorkerControl:
    """Send to the sockets in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._kept: dict[int, deque[bytes]] = {}

    def tell(self, worker: int, message: bytes) -> None:
        """Send a message to the worker of a process id; what finds its socket full follows in order as soon as it can.

        One that has ended is told nothing, which is all that it needs.
        """
        kept = self._kept.get(worker)
        if kept is not None:
            if len(kept) < _MAX_KEPT:
                kept.append(message)
        elif not self._send(worker, message):
            self._kept[worker] = deque([message])
            asyncio.get_running_loop().call_later(_RETRY_S, self._send_kept, worker)

    def close(self) -> None:
        self._kept.clear()
        self._socket.close()

    def _send_kept(self, worker: int) -> None:
        kept = self._kept.get(worker)
        while kept:
            if not self._send(worker, kept[0]):
                asyncio.get_running_loop().call_later(_RETRY_S, self._send_kept, worker)
                return
            kept.popleft()
        self._kept.pop(worker, None)

    def _send(self, worker: int, message: bytes) -> bool:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            try:
                self._socket.sendto(message, str(self._folder / f"control-{worker}"))
            except BlockingIOError:
                return False
        return True
