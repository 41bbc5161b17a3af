"""Know at once when the store or the routing file changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from watchfiles import Change, awatch

logger = structlog.get_logger("serving")

QUIET_MS = 20
LONGEST_MS = 200
# Where nothing tells of changes, as on network file systems, they are found by looking.
LOOK_S = 10.0


async def watch_store(root: Path, changed: asyncio.Event) -> None:
    """Set `changed` whenever a release or an act comes or goes; what is being built or removed is nothing yet."""

    def is_visible(change: Change, path: str) -> bool:
        return not any(part.startswith(".") for part in Path(path).relative_to(root).parts)

    root = root.resolve()
    await _watch(root, changed, is_visible, recursive=True)


async def watch_file(path: Path, changed: asyncio.Event) -> None:
    """Set `changed` whenever a file changes, or a ConfigMap's `..data`, through which its files change all at once."""
    folder = path.absolute().parent
    names = {path.name, "..data"}
    await _watch(folder, changed, lambda change, found: Path(found).name in names, recursive=False)


async def _watch(
    folder: Path, changed: asyncio.Event, is_visible: Callable[[Change, str], bool], *, recursive: bool
) -> None:
    try:
        async for _ in awatch(folder, watch_filter=is_visible, debounce=LONGEST_MS, step=QUIET_MS, recursive=recursive):
            changed.set()
    except OSError as error:
        logger.warning("changes are found by looking only", folder=str(folder), every_s=LOOK_S, why=str(error))
