"""What the C library does with memory that tensors give back."""

from __future__ import annotations

import ctypes

# From malloc.h of glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Let this process reuse freed memory instead of returning it to the system; false where glibc is not in use.

    By default every large tensor is mapped afresh and unmapped again, and the kernel clears its pages each time: a
    quarter of a translator's training step. The price is that a process stays as large as it once was.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
