"""Calls whose tensors go to a worker, and come back, in a file that both map instead of through Java and its sockets.

A file lasts as long as its call: a worker that is still at one which was given up writes to a file without a name.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from model_store.shared_memory import append_contents, map_file
from services.gateway.numbers import count_up
from services.gateway.packing import Rows, SharedAnswer

logger = structlog.get_logger("gateway")

# Copying more than this, some 0.5 ms, is done while the event loop goes on.
_LONG_COPY_BYTES = 2**20
_numbers = count_up()


async def ask_by_file(folder: Path, rows: Rows, ask: Callable[[bytes], Awaitable[bytes]]) -> bytes | SharedAnswer:
    """Put rows into a new file and `ask` a worker, whose answer is in the same file if it is large.

    Where the folder has no room left, all goes in the message.
    """
    path = folder / f"{os.getpid()}-{next(_numbers)}"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                if sum(len(part) for parts in rows.contents for part in parts) > _LONG_COPY_BYTES:
                    places = await asyncio.to_thread(append_contents, file, rows.contents)
                else:
                    places = append_contents(file, rows.contents)
            except OSError as error:
                logger.warning("no room for a large request", folder=str(folder), error=str(error))
                path.unlink()
                return await ask(rows.join())
            size = os.fstat(file).st_size
            answer = await ask(rows.refer_to(path.name, places))
            return SharedAnswer(answer, map_file(file)) if os.fstat(file).st_size > size else answer
        finally:
            os.close(file)
    finally:
        path.unlink(missing_ok=True)
