"""From noise to an image in few steps: part of the contract of diffusion models, so workers and training share it.

Time runs from 0, an image, to 1, noise: x(t) = α·image + σ·noise with α² + σ² = 1, and the log SNR is 2·ln(α/σ).
Values may be numpy arrays or torch tensors: the coefficients of a step are plain numbers.
Dimensions: N rows, Z values of an image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

NoiseSchedule = Literal["cosine", "linear"]
Sampler = Literal["dpm-solver++", "ddim"]

# Beyond, α or σ is below 0.7 %: less than one of 256 levels of a pixel.
_MOST_LOG_SNR = 10.0
_FIRST_BETA, _LAST_BETA = 0.1, 20.0


def log_snr_at(schedule: NoiseSchedule, time: np.ndarray) -> np.ndarray:
    """Compute the log SNR float64 of times in [0, 1], within ±10.

    Source: `cosine`, Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672, eq. 17 without its offset; `linear`,
    Ho et al. 2020, https://arxiv.org/abs/2006.11239, section 4, whose thousand steps are taken for a continuum.
    """
    time = np.clip(np.asarray(time, np.float64), 1e-4, 1 - 1e-4)
    if schedule == "cosine":
        log_snr = -2 * np.log(np.tan(np.pi * time / 2))
    else:
        log_snr = -np.log(np.expm1(_FIRST_BETA * time + (_LAST_BETA - _FIRST_BETA) * time**2 / 2))
    return np.clip(log_snr, -_MOST_LOG_SNR, _MOST_LOG_SNR)


def plan_steps(schedule: NoiseSchedule, num_steps: int) -> list[float]:
    """List the log SNRs at which an image is estimated, from noise onwards, evenly spaced in time.

    Raises:
        ValueError: fewer than one step.
    """
    if num_steps < 1:
        raise ValueError(f"an image takes at least one step, got {num_steps}")
    return [float(value) for value in log_snr_at(schedule, 1 - np.arange(num_steps) / num_steps)]


def denoise(estimate: Callable[[Any, float], Any], noise: Any, log_snrs: Sequence[float], sampler: Sampler) -> Any:
    """Turn noise [N, Z] into images [N, Z]; `estimate(x, log_snr)` says what image lies behind noisy ones.

    Both samplers draw nothing at random, so that an image is a function of its noise. `ddim` takes each estimate as it
    is; `dpm-solver++` continues the line from the estimate before. The last estimate is the image.
    Source: Song et al. 2021, https://arxiv.org/abs/2010.02502, eq. 12 with η = 0; Lu et al. 2022,
    https://arxiv.org/abs/2211.01095, algorithm 2 (2M).
    """
    x, before, width_before = noise, None, 0.0
    for here, ahead in zip(log_snrs, [*log_snrs[1:], None], strict=True):
        image = estimate(x, here)
        if ahead is None:
            return image
        width = (ahead - here) / 2
        target = image
        if before is not None and sampler == "dpm-solver++":
            share = width / (2 * width_before)
            target = (1 + share) * image - share * before
        x = (_sigma(ahead) / _sigma(here)) * x - _sigma(-ahead) * math.expm1(-width) * target
        before, width_before = image, width
    raise ValueError("an image takes at least one step, got none")


def _sigma(log_snr: float) -> float:
    """The noise's share; α is that of minus the log SNR."""
    return math.sqrt(1 / (1 + math.exp(log_snr)))
