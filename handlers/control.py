"""A worker's own socket: what the gateway tells it during a call, which TorchServe has no way for."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterable
from pathlib import Path

from model_store.session_records import Kind, Record, RecordReader, rows_left

_LARGEST_BYTES = 2**20
# Of calls that other workers may have: more than can be under way at once.
_MAX_CALLS_KEPT = 256


class Control:
    """Records for this worker; without a folder there are none."""

    def __init__(self, folder: str | None) -> None:
        """Open `<folder>/control-<process id>`."""
        self._left: dict[int, set[int]] = {}
        self._records: list[Record] = []
        self._socket: socket.socket | None = None
        if folder is not None:
            path = Path(folder) / f"control-{os.getpid()}"
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(str(path))

    def wait(self, timeout_s: float) -> bool:
        """Wait until something comes; returns whether it has."""
        return self._socket is not None and bool(select.select([self._socket], [], [], timeout_s)[0])

    def receive(self) -> list[Record]:
        """Take what has come for sessions, without waiting."""
        self._drain()
        records, self._records = self._records, []
        return records

    def take_departed(self, call: int) -> Iterable[int]:
        """Tell which rows of a packed call are waited for no longer, since this was last asked."""
        self._drain()
        return self._left.pop(call, ())

    def _drain(self) -> None:
        while self._socket is not None:
            try:
                message = self._socket.recv(_LARGEST_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for record in RecordReader().feed(message):
                if record.kind == Kind.LEAVE_ROWS:
                    self._note_departure(record)
                else:
                    self._records.append(record)

    def _note_departure(self, record: Record) -> None:
        self._left.setdefault(record.key, set()).update(rows_left(record))
        if len(self._left) > _MAX_CALLS_KEPT:
            del self._left[next(iter(self._left))]

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
