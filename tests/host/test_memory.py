"""Freed memory stays with the process when it is asked to keep it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROBE = """
import ctypes, sys
import torch
from host.memory import keep_freed_memory

class MallocInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

if sys.argv[1] == "keep":
    assert keep_freed_memory()
tensor = torch.ones(64 << 20)
del tensor
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = MallocInfo
print(mallinfo().fordblks)
"""


def _measure_free_bytes(mode: str) -> int:
    run = subprocess.run([sys.executable, "-c", _PROBE, mode], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_freed_tensor_stays_with_the_process() -> None:
    assert _measure_free_bytes("default") < 64 << 20
    assert _measure_free_bytes("keep") >= 256 << 20
