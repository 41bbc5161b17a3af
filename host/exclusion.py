"""One process at a time: who changes what is in a file, or measures times, must be alone meanwhile."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

# Makes a context in which one of several is alone.
Alone = Callable[[], AbstractContextManager[None]]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait for others who are here, then keep those out who come; a process that dies lets go."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def together_in(folder: Path, tell_waiting: Callable[[], None]) -> Iterator[Alone]:
    """Be here beside others; what is yielded waits until all others have left, or wait for the same.

    `tell_waiting` is called first where it has to. A process that dies lets go.
    """
    descriptor = os.open(folder, os.O_RDONLY)

    @contextmanager
    def alone() -> Iterator[None]:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell_waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # the own place among the others is free meanwhile
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_SH)

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield alone
    finally:
        os.close(descriptor)
