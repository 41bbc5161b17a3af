"""A worker's own sockets for calls: gateways ask it directly, and TorchServe only starts it and keeps it alive.

TorchServe's way costs a call two changes of process, and Java's reading and writing of it. The worker's main thread
stays with TorchServe; each slot has a socket, whose calls are answered one after the other in a thread of its own.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import selectors
import socket
import struct
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from handlers.alarm import Alarm
from model_store.call_frames import HEAD, Frame, socket_name, state_name

Send = Callable[[bytes], None]
Answer = Callable[[Frame, int, bytearray, Send], bytes]

# A gateway that takes nothing for so long stands still, and would keep the worker from the others.
_PATIENCE = struct.pack("ll", 10, 0)
_JOINED_BYTES = 2**16


class CallSocket:
    """Answer frames of model_store/call_frames.py."""

    def __init__(self, folder: Path, answer: Answer, alarm: Alarm, slot: int = 0) -> None:
        """Open a slot's socket in a folder; `answer` is given frame, number, body, and what sends pieces.

        A call that takes too long ends the process by its alarm; TorchServe then starts another.
        """
        self._answer, self._alarm, self._slot = answer, alarm, slot
        path, state = folder / socket_name(os.getpid(), slot), folder / state_name(os.getpid(), slot)
        for stale in (path, state):
            with contextlib.suppress(FileNotFoundError):
                stale.unlink()
        state.write_bytes(b"\0")
        with state.open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), 1)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)

    def serve(self, enter: Callable[[], None] = lambda: None) -> None:
        """Answer in a thread of its own, which begins by `enter`, as long as this process lives."""
        threading.Thread(target=self._run, args=(enter,), daemon=True).start()

    def _run(self, enter: Callable[[], None]) -> None:
        try:
            enter()
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        self._attend(key.fileobj, selector)
        except BaseException:  # noqa: BLE001 (a worker that hears nobody must not live on)
            traceback.print_exc()
            os._exit(1)

    def _attend(self, ready: object, selector: selectors.BaseSelector) -> None:
        """Take a connection, or answer the next frame of one, and forget one that has ended."""
        if ready is self._listener:
            connection, _ = self._listener.accept()
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                connection.setsockopt(socket.SOL_SOCKET, option, _PATIENCE)
            selector.register(connection, selectors.EVENT_READ)
            with contextlib.suppress(OSError):  # gone already: the next event says so
                _send(connection, Frame.HELLO, b"")
            return
        assert isinstance(ready, socket.socket)
        try:
            self._answer_next(ready)
        except (OSError, EOFError):
            selector.unregister(ready)
            ready.close()

    def _answer_next(self, connection: socket.socket) -> None:
        size, frame, number = HEAD.unpack(_receive(connection, HEAD.size))
        body = _receive(connection, size)
        self._state[0] = 1
        try:
            self._alarm.begin(self._slot)
            last = self._answer(Frame(frame), number, body, partial(self._send_piece, connection))
        finally:
            self._alarm.end(self._slot)
            self._state[0] = 0
        _send(connection, Frame.ANSWER, last)

    def _send_piece(self, connection: socket.socket, piece: bytes) -> None:
        self._alarm.begin(self._slot)
        _send(connection, Frame.PIECE, piece)


def _receive(connection: socket.socket, size: int) -> bytearray:
    """Receive so many bytes.

    Raises:
        EOFError: the gateway has gone.
        OSError: it stands still.
    """
    data = bytearray(size)
    left = memoryview(data)
    while left:
        count = connection.recv_into(left, 0, socket.MSG_WAITALL)
        if count == 0:
            raise EOFError
        left = left[count:]
    return data


def _send(connection: socket.socket, frame: Frame, body: bytes) -> None:
    head = HEAD.pack(len(body), frame, 0)
    if len(body) <= _JOINED_BYTES:
        connection.sendall(head + body)
    else:
        connection.sendall(head)
        connection.sendall(body)
