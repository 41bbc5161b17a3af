"""Answers of TorchServe that come in pieces: HTTP/1.1 with chunked transfer coding, over its Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.torchserve.http_client import HEAD_END, ConnectionLostError, HttpAnswer, HttpClient

_LINE_END = b"\r\n"


class _Connection(asyncio.Protocol):
    """One request and its answer; a chunked body goes piece by piece to `take`, any other is kept."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.ended: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self.heard_s = asyncio.get_running_loop().time()
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._buffer = b""
        self._status = 0
        self._is_chunked = False
        self._length = -1

    def data_received(self, data: bytes) -> None:
        self.heard_s = self._loop.time()
        self._buffer += data
        try:
            if self._status == 0 and not self._read_head():
                return
            if self._is_chunked:
                self._read_chunks()
            elif len(self._buffer) >= self._length:
                self._end(HttpAnswer(self._status, self._buffer))
        except Exception as error:  # noqa: BLE001 (whoever awaits the end has to know)
            if not self.ended.done():
                self.ended.set_exception(error)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(ConnectionLostError("TorchServe closed the connection inside an answer"))

    def _read_head(self) -> bool:
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return False
        lines = self._buffer[:end].lower().split(_LINE_END)
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        self._is_chunked = fields.get(b"transfer-encoding") == b"chunked"
        self._length = int(fields.get(b"content-length", 0))
        self._status = int(lines[0].split()[1])
        self._buffer = self._buffer[end + len(HEAD_END) :]
        return True

    def _read_chunks(self) -> None:
        while not self.ended.done():
            line_end = self._buffer.find(_LINE_END)
            if line_end < 0:
                return
            size = int(self._buffer[:line_end], 16)
            start = line_end + len(_LINE_END)
            if len(self._buffer) < start + size + len(_LINE_END):
                return
            chunk, self._buffer = self._buffer[start : start + size], self._buffer[start + size + len(_LINE_END) :]
            if size:
                self._take(chunk)
            else:
                self._end(HttpAnswer(self._status, b""))

    def _end(self, answer: HttpAnswer) -> None:
        if not self.ended.done():
            self.ended.set_result(answer)


async def receive_pieces(
    client: HttpClient, path: str, body: bytes, take: Callable[[bytes], None], silence_s: float
) -> HttpAnswer:
    """Post a body over a connection of its own, and hand over the answer's pieces as they come; returns when it ends.

    The body of what is returned is empty, unless the answer did not come in pieces.

    Raises:
        ConnectionError: TorchServe is not there, or went away inside the answer.
        TimeoutError: nothing came for `silence_s`.
    """
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_unix_connection(lambda: _Connection(take), client.socket)
    head = f"POST {path} HTTP/1.1\r\n{client.headers}content-length: {len(body)}\r\n\r\n".encode()
    transport.writelines([head, body])
    try:
        while True:
            left_s = connection.heard_s + silence_s - loop.time()
            await asyncio.wait((connection.ended,), timeout=max(0.0, left_s))
            if connection.ended.done():
                return connection.ended.result()
            if loop.time() >= connection.heard_s + silence_s:
                raise TimeoutError(f"nothing more to POST {path} within {silence_s:g} s")
    finally:
        transport.abort()
