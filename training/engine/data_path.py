"""Where a data set's files are."""

from __future__ import annotations

from pathlib import Path


def find_path(place: str, data_root: Path) -> Path:
    """Resolve a file or folder, here or below the data root.

    Raises:
        FileNotFoundError: there is nothing.
    """
    for path in (Path(place), data_root / place):
        if path.exists():
            return path
    raise FileNotFoundError(f"no file or folder {place}, neither here nor in {data_root}")
