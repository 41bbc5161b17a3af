"""How a static int8 program is rounded, and what a search found of the ways that it tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Without VNNI two products of 8-bit numbers overflow the 16 bits in which they are added.
PORTABLE_WEIGHT_BITS = 7
LARGEST_PORTABLE_WEIGHT = 2 ** (PORTABLE_WEIGHT_BITS - 1) - 1
Ranges = Literal["extremes", "percentile", "entropy", "least error"]
PERCENTILE = 99.9  # of an activation's values lie inside; onnxruntime's own 99.999 are nearly all


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How activations find their ranges, how fine weights are, and which layers, by name, stay in floats."""

    ranges: Ranges = "extremes"
    weight_bits: int = PORTABLE_WEIGHT_BITS
    in_floats: tuple[str, ...] = ()

    @property
    def is_bound(self) -> bool:
        """Whether it needs a CPU that can add products of 8-bit numbers."""
        return self.weight_bits > PORTABLE_WEIGHT_BITS

    @property
    def in_words(self) -> str:
        kept = f", {', '.join(self.in_floats)} in floats" if self.in_floats else ""
        return f"ranges by {self.ranges}, weights of {self.weight_bits} bits{kept}"


PORTABLE = Rounding()
# What torchao takes for x86; where there is no VNNI, activations have 7 bits instead of the weights.
COMPILED = Rounding(ranges="least error", weight_bits=8)
DEFAULTS: Mapping[str, Rounding] = {"int8": COMPILED, "onnx-int8": PORTABLE}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to round, and what the search's own rows showed of it; the fields are those of the manifest's Trial."""

    rounding: str
    difference: float
    interval: tuple[float, float]
    rows_per_s: float
    passed: bool
    is_chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search tried, and on which rows; the fields are those of the manifest's Search."""

    dataset: str
    n: int
    trials: tuple[Trial, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
