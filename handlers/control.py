"""A worker's own socket: what the gateway tells it during a call, which TorchServe has no way for."""

from __future__ import annotations

import contextlib
import os
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
        self._socket: socket.socket | None = None
        if folder is not None:
            path = Path(folder) / f"control-{os.getpid()}"
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(str(path))

    def receive(self) -> list[Record]:
        """Take what has come, without waiting."""
        records: list[Record] = []
        if self._socket is None:
            return records
        while True:
            try:
                message = self._socket.recv(_LARGEST_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return records
            for record in RecordReader().feed(message):
                if record.kind == Kind.LEAVE_ROWS:
                    self._note_departure(record)
                else:
                    records.append(record)

    def take_departed(self, call: int) -> Iterable[int]:
        """Tell which rows of a packed call are waited for no longer, since this was last asked."""
        self.receive()
        return self._left.pop(call, ())

    def _note_departure(self, record: Record) -> None:
        self._left.setdefault(record.key, set()).update(rows_left(record))
        if len(self._left) > _MAX_CALLS_KEPT:
            del self._left[next(iter(self._left))]

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
