"""Learning-rate schedules: from a step to the factor by which every base rate is multiplied."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

Schedule = Callable[[int], float]
ScheduleName = Literal["one-cycle", "cosine", "constant"]


def cosine_factor(step: int, *, num_steps: int, warmup_steps: int, final: float = 0.0) -> float:
    """Rise linearly to 1 over the warm-up, then fall along half a cosine to `final`.

    Source: Loshchilov and Hutter 2017, SGDR, eq. 5, one cycle.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def one_cycle_factor(step: int, *, num_steps: int, warmup_steps: int, start: float = 0.2, final: float = 0.0) -> float:
    """Rise linearly from `start` to 1 over the warm-up, then fall linearly to `final`.

    Source: Smith and Topin 2018, Super-Convergence, in the triangular form of CIFAR speed runs.
    """
    if step < warmup_steps:
        return start + (1 - start) * step / warmup_steps
    progress = (step - warmup_steps) / max(1, num_steps - warmup_steps)
    return 1 + (final - 1) * min(1.0, progress)


def constant_factor(step: int, *, num_steps: int, warmup_steps: int) -> float:
    """Rise linearly to 1 over the warm-up and stay there."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


_FACTORS = {"cosine": cosine_factor, "one-cycle": one_cycle_factor, "constant": constant_factor}


def make_schedule(name: str, *, num_steps: int, warmup_fraction: float) -> Schedule:
    """Bind a schedule to the length of a run.

    Raises:
        ValueError: unknown name, or a warm-up outside [0, 1).
    """
    if name not in _FACTORS:
        raise ValueError(f"unknown schedule {name!r}; use one of {get_args(ScheduleName)}")
    if not 0 <= warmup_fraction < 1:
        raise ValueError(f"warmup_fraction must lie in [0, 1), got {warmup_fraction}")
    return partial(_FACTORS[name], num_steps=num_steps, warmup_steps=round(warmup_fraction * num_steps))
