"""What programs for this CPU may be compiled to, in the words of a manifest's target, as `AVX512+VNNI`."""

from __future__ import annotations

from host.cpu import cpu_flags

# Widest first; torch and its compilers ask for the same flags.
_LEVELS = {
    "AVX512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"},
    "AVX2": {"avx2", "fma"},
    "SVE": {"sve"},
}
# What a level implies, so that a program built for AVX2 runs on an AVX-512 machine.
_IMPLIED = {"AVX512": ("AVX2",)}
_EXTENSIONS = {"avx512_vnni": "VNNI", "avx_vnni": "VNNI", "avx512_bf16": "BF16", "amx_int8": "AMX", "asimdbf16": "BF16"}


def cpu_features() -> tuple[str, ...]:
    """Name this CPU's instruction sets, its level first, e.g. ('AVX512', 'VNNI', 'BF16')."""
    flags = cpu_flags()
    level = next((name for name, needed in _LEVELS.items() if needed <= flags), "DEFAULT")
    return (level, *sorted({name for flag, name in _EXTENSIONS.items() if flag in flags}, reverse=True))


def find_lacking(capability: str) -> list[str]:
    """Name those instruction sets of a target's capability that this CPU does not have."""
    have = set(cpu_features())
    have |= {implied for feature in have for implied in _IMPLIED.get(feature, ())}
    return [feature for feature in capability.split("+") if feature and feature not in have]
