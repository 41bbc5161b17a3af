"""This machine's processor, as Linux describes it; elsewhere nothing is known and the answers are empty."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@lru_cache
def _read_first_core() -> dict[str, str]:
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cpu_model() -> str:
    """Name the processor, e.g. 'AMD EPYC 7R13 Processor'."""
    return _read_first_core().get("model name", "")


def cpu_flags() -> frozenset[str]:
    """Name the instruction sets as the kernel spells them, e.g. avx512_vnni; ARM's are its 'Features'."""
    core = _read_first_core()
    return frozenset(core.get("flags", core.get("Features", "")).split())
