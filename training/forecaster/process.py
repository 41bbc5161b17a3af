"""The process that generated series come from.

    value = scale · (offset + trend + shifts + season + noise)

- trend: a slope that is itself a damped random walk, summed up;
- shifts: level shifts at random times, one in two windows on average, of 2 standard normals each;
- season: four harmonics of one period, weights falling as 1/k, its amplitude drifting by up to half over the window;
- noise: first-order autoregressive, driven by Student's t of 4 degrees of freedom, so that outliers occur;
- scale and offset: any, from 0.1 to 1,000 and from −5 to 5 of them.

Nothing of a shift is known before it comes, so the forecasts of a perfect model miss it too.
Dimensions: N windows, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_NUM_HARMONICS = 4
_SLOPE_STEP, _SLOPE_DAMPING = 0.01, 0.98
_SHIFTS_PER_WINDOW, _SHIFT_SIZE = 0.5, 2.0
_DEGREES_OF_FREEDOM = 4


@dataclass(frozen=True)
class Draw:
    """Windows float32 [N, T] and the season of each, int64 [N]."""

    values: Tensor
    period: Tensor


def draw_windows(count: int, num_steps: int, periods: Sequence[int], generator: torch.Generator) -> Draw:
    """Draw windows, each of a series of its own."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    period = torch.tensor(periods)[torch.randint(len(periods), (count,), generator=generator)]
    slopes = _autoregress(_SLOPE_STEP * normal(num_steps), torch.full((count,), _SLOPE_DAMPING))
    trend = (slopes + 0.02 * normal(1)).cumsum(1)
    is_shift = torch.rand(count, num_steps, generator=generator) < _SHIFTS_PER_WINDOW / num_steps
    shifts = (is_shift * _SHIFT_SIZE * normal(num_steps)).cumsum(1)
    values = uniform(-5, 5, 1) + trend + shifts + _draw_season(period, num_steps, uniform, normal)
    tails = (normal(num_steps, _DEGREES_OF_FREEDOM).square().mean(2)).rsqrt()
    innovations = normal(num_steps) * tails * torch.exp(uniform(math.log(0.05), math.log(0.6), 1))
    values = values + _autoregress(innovations, uniform(-0.3, 0.8))
    return Draw(values * 10 ** uniform(-1, 3, 1), period)


def _draw_season(
    period: Tensor, num_steps: int, uniform: Callable[..., Tensor], normal: Callable[..., Tensor]
) -> Tensor:
    harmonic = torch.arange(1, _NUM_HARMONICS + 1)
    time = torch.arange(num_steps)
    phases = uniform(0, 2 * math.pi, 1, _NUM_HARMONICS)
    angle = 2 * math.pi * time[None, :, None] * harmonic / period[:, None, None] + phases
    weights = normal(1, _NUM_HARMONICS) / harmonic
    drift = 1 + uniform(-0.5, 0.5, 1) * time / num_steps
    return uniform(0, 2, 1) * drift * (weights * angle.sin()).sum(2)


def _autoregress(innovations: Tensor, coefficient: Tensor) -> Tensor:
    """Sum up innovations [N, T] with a memory: each value is its innovation and `coefficient` [N] of the one before."""
    values = [innovations[:, 0]]
    for step in range(1, innovations.shape[1]):
        values.append(coefficient * values[-1] + innovations[:, step])
    return torch.stack(values, 1)
