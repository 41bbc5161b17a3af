"""What a load generator in C says of a server: how many requests a second at most, and how long one takes."""

from __future__ import annotations

from dataclasses import dataclass


class CeilingError(RuntimeError):
    """The generator is missing or did not measure, or calls failed."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Requests a second of all callers together, and the mean time of one."""

    requests_per_s: float
    mean_ms: float
