"""The file of one call that gateway and worker map, so that large tensors are not copied from process to process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_store.shared_memory import Buffer, append_contents, find_contents, map_file


class CallMemory:
    """What a call came in, and what its answer may be put behind."""

    def __init__(self, folder: str | None, region: str) -> None:
        """Open the region of a call.

        Raises:
            ValueError: it is no name of a file.
            OSError: there is no such file in the folder.
        """
        if folder is None or Path(region).name != region:
            raise ValueError(f"no region of shared memory {region!r}: the gateway and this worker share {folder}")
        self.region = region
        self._path = Path(folder) / region
        with self._path.open("rb") as file:
            self._memory = map_file(file.fileno())

    def read(self, tensor: Any) -> memoryview:
        """Find the contents of a tensor of the request."""
        return find_contents(tensor, self._memory)

    def append(self, contents: Sequence[Buffer]) -> list[tuple[int, int]]:
        """Add an answer's tensors; returns where each is.

        Raises:
            OSError: there is no room for them, or nobody waits for them any longer.
        """
        with self._path.open("r+b", buffering=0) as file:
            return append_contents(file.fileno(), [[one] for one in contents])
