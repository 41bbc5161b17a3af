"""gRPC's messages inside HTTP/2's data: five bytes of prefix (compressed? how long?), then the message."""

from __future__ import annotations

import zlib

from services.grpc_server.errors import MalformedMessageError, MessageTooLargeError, UnsupportedCompressionError

PREFIX_BYTES = 5
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
# Smaller pieces are collected in one buffer, since each object of its own costs more than it holds.
_SMALL_BYTES = 4096
_BUFFER_BYTES = 65_536


class MessageReader:
    """Collects what came of a request and cuts messages off; `size` is what has not been taken, in bytes.

    Messages are cut off one by one as they are asked for: a window full of tiny ones would take many times its size.
    """

    __slots__ = ("_head", "_max_bytes", "_offset", "_parts", "_wanted", "size")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._head: bytes = b""
        self._offset = 0  # where in the head the next message starts
        self._parts: list[bytes | bytearray] = []  # what follows the head
        self._wanted = 0  # prefix and message, once the prefix is here
        self.size = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        if len(data) >= _SMALL_BYTES:
            self._parts.append(data)
            return
        last = self._parts[-1] if self._parts else None
        if isinstance(last, bytearray) and len(last) < _BUFFER_BYTES:
            last += data
        else:
            self._parts.append(bytearray(data))

    def check(self) -> bool:
        """Say whether a whole message is here.

        Raises:
            MessageTooLargeError: as soon as the prefix says so.
        """
        if not self._wanted:
            if self.size < PREFIX_BYTES:
                return False
            if len(self._head) - self._offset < PREFIX_BYTES:
                self._join()
            size = int.from_bytes(self._head[self._offset + 1 : self._offset + PREFIX_BYTES], "big")
            if size > self._max_bytes:
                raise MessageTooLargeError(f"the message has {size} bytes; at most {self._max_bytes} are taken")
            self._wanted = PREFIX_BYTES + size
        return self.size >= self._wanted

    def take(self) -> tuple[bool, bytes] | None:
        """Take the next message off, if all of it is here: whether it is compressed, and its bytes.

        Raises:
            MessageTooLargeError: as soon as the prefix says so.
        """
        if not self.check():
            return None
        start, end = self._offset, self._offset + self._wanted
        if end > len(self._head) and self.size == self._wanted:
            # Joined without its prefix: to cut that off afterwards would copy all of it once more.
            is_compressed = self._head[start] != 0
            message = b"".join((memoryview(self._head)[start + PREFIX_BYTES :], *self._parts))
            self.clear()
            return is_compressed, message
        if end > len(self._head):
            self._join()
            start, end = 0, self._wanted
        is_compressed, message = self._head[start] != 0, self._head[start + PREFIX_BYTES : end]
        self.size -= self._wanted
        self._wanted = 0
        self._offset = end
        if end == len(self._head):
            self._head, self._offset = b"", 0
        return is_compressed, message

    def clear(self) -> None:
        self._head, self._offset, self._parts, self._wanted, self.size = b"", 0, [], 0, 0

    def _join(self) -> None:
        self._head = b"".join((memoryview(self._head)[self._offset :], *self._parts))
        self._offset, self._parts = 0, []


def make_prefix(size: int) -> bytes:
    """Make the prefix of a message that is not compressed."""
    return size.to_bytes(PREFIX_BYTES, "big")


def decompress(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """Decompress a message.

    Raises:
        UnsupportedCompressionError, MalformedMessageError, MessageTooLargeError: see errors.py.
    """
    if encoding not in ("gzip", "deflate"):
        raise UnsupportedCompressionError(f"messages compressed by {encoding} are not taken; use gzip")
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        message = decoder.decompress(data, max_bytes + 1)
    except zlib.error:
        raise MalformedMessageError("the compressed message is broken") from None
    if len(message) > max_bytes:
        raise MessageTooLargeError(f"the message has more than {max_bytes} bytes when decompressed")
    if not decoder.eof:
        raise MalformedMessageError("the compressed message is truncated")
    return message
