"""This machine's processor, as Linux describes it; elsewhere nothing is known and the answers are empty."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# What decides how fast programs run: vector width, int8 and bf16 instructions.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX INT8",
    "amx_bf16": "AMX BF16",
    "asimddp": "NEON dot product",
    "i8mm": "NEON INT8",
    "bf16": "NEON BF16",
}


@lru_cache
def _read_first_core() -> dict[str, str]:
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def choose_threads(num_workers: int, num_cores: int) -> int:
    """Choose the threads of each of some workers: they share all cores but one, on which callers are answered.

    A parallel step lasts until its last thread has had a core. On two cores, answering callers kept a second thread
    waiting so often that batches of 64 rows took twice as long as on one thread, and rows that came singly three times.
    """
    return max(1, (num_cores - 1) // num_workers)


def cpu_model() -> str:
    """Name the processor, e.g. 'AMD EPYC 7R13 Processor'."""
    return _read_first_core().get("model name", "")


def cpu_flags() -> frozenset[str]:
    """Name the instruction sets as the kernel spells them, e.g. avx512_vnni; ARM's are its 'Features'."""
    core = _read_first_core()
    return frozenset(core.get("flags", core.get("Features", "")).split())


def name_features() -> tuple[str, ...]:
    """Name what of this processor decides how fast programs run, in words, e.g. ('AVX2', 'AVX-512')."""
    return tuple(name for flag, name in _FEATURES.items() if flag in cpu_flags())
