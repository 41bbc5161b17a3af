"""Whether a file has changed since it was read."""

from __future__ import annotations

from pathlib import Path


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """Time of change, size and inode of a file; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
