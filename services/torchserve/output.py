"""What a child process prints, line by line, however long its lines are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

CHUNK_BYTES = 2**16


async def read_lines(stream: asyncio.StreamReader, longest_bytes: int = 2**14) -> AsyncIterator[str]:
    """Yield lines without their ends until the stream ends; what a line has beyond `longest_bytes` is left out.

    `StreamReader.readline` raises at 64 KiB instead: whoever stops reading then stops the child, once its pipe is full.
    """
    line = bytearray()
    while chunk := await stream.read(CHUNK_BYTES):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line += part[: longest_bytes - len(line)]
            yield line.decode(errors="replace")
            line.clear()
        line += rest[: longest_bytes - len(line)]
    if line:
        yield line.decode(errors="replace")
