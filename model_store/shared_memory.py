"""Large tensors beside a message: in a file that both sides map, as Triton's system shared memory extension has it.

A tensor says in its parameters where its contents are: in which region (the name of a file in a folder that both know),
from which byte on, and how many. The message has no raw contents then.
Source: Triton Inference Server, "Shared-Memory Extension".
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Any, Final

REGION: Final = "shared_memory_region"
OFFSET: Final = "shared_memory_offset"
BYTE_SIZE: Final = "shared_memory_byte_size"

# What is smaller is sooner copied than mapped.
LARGE_BYTES: Final = 2**18
_ALIGNMENT = 64
_MOST_PARTS = 512  # in one system call, which takes 1,024

Buffer = bytes | memoryview


def append_contents(file: int, contents: Sequence[Sequence[Buffer]]) -> list[tuple[int, int]]:
    """Write tensors, each in parts, behind what a file has; returns from which byte on each is, and its size.

    Raises:
        OSError: there is no room for them.
    """
    end = os.fstat(file).st_size
    places = []
    for parts in contents:
        start = end = -(-end // _ALIGNMENT) * _ALIGNMENT
        for first in range(0, len(parts), _MOST_PARTS):
            end = _write(file, parts[first : first + _MOST_PARTS], end)
        places.append((start, end - start))
    return places


def _write(file: int, parts: Sequence[Buffer], offset: int) -> int:
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        written = os.pwritev(file, left, offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
    return offset


def map_file(file: int) -> memoryview:
    """Map all of a file, to be read; it stays mapped as long as somebody holds a part of it."""
    return memoryview(mmap.mmap(file, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ))


def refer_to(tensor: Any, region: str, place: tuple[int, int]) -> None:
    """Say in a tensor of a message where its contents are."""
    tensor.parameters[REGION].string_param = region
    tensor.parameters[OFFSET].int64_param, tensor.parameters[BYTE_SIZE].int64_param = place


def find_contents(tensor: Any, memory: memoryview) -> memoryview:
    """Find what `refer_to` has said."""
    start = tensor.parameters[OFFSET].int64_param
    return memory[start : start + tensor.parameters[BYTE_SIZE].int64_param]
