"""What spoils a recording: the baseline wanders, the mains hum, muscles and the amplifier add noise.

Source: Friesen et al. 1990, IEEE Trans. Biomed. Eng. 37, 85–98, for which disturbances a lead has.
Dimensions: N signals, L samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MAINS_HZ = (50.0, 60.0)


def draw_disturbances(clean: Tensor, snr_db: Tensor, rate_hz: float, generator: torch.Generator) -> Tensor:
    """Disturbances float32 [N, L] of signals [N, L], so strong that the signals' power is `snr_db` [N] above theirs.

    Each is a mixture of wander, hum and noise, in any shares of its power.
    """
    count, num_samples = clean.shape
    kinds = torch.stack(
        [
            _wander(count, num_samples, rate_hz, generator),
            _hum(count, num_samples, rate_hz, generator),
            torch.randn(count, num_samples, generator=generator),
        ],
        1,
    )
    shares = -torch.log(torch.rand(count, 3, generator=generator).clamp_min(1e-6))
    shares = shares / shares.sum(1, keepdim=True)
    mixed = (kinds / _power(kinds).sqrt() * shares.sqrt()[..., None]).sum(1)
    centred = clean - clean.mean(1, keepdim=True)
    wanted = _power(centred) * 10 ** (-snr_db[:, None] / 10)
    return mixed * (wanted / _power(mixed)).sqrt()


def draw_levels(count: int, lowest_db: float, highest_db: float, generator: torch.Generator) -> Tensor:
    """Signal-to-noise ratios float32 [N] in decibels, all as likely."""
    return lowest_db + (highest_db - lowest_db) * torch.rand(count, generator=generator)


def _power(signals: Tensor) -> Tensor:
    return signals.square().mean(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)


def _wander(count: int, num_samples: int, rate_hz: float, generator: torch.Generator) -> Tensor:
    """Slow waves as breathing and moving electrodes make them: three of 0.05 to 0.6 Hz."""
    time_s = torch.arange(num_samples) / rate_hz
    frequency_hz = 0.05 + 0.55 * torch.rand(count, 3, 1, generator=generator)
    phase = 2 * math.pi * torch.rand(count, 3, 1, generator=generator)
    size = torch.rand(count, 3, 1, generator=generator)
    return (size * torch.sin(2 * math.pi * frequency_hz * time_s + phase)).sum(1)


def _hum(count: int, num_samples: int, rate_hz: float, generator: torch.Generator) -> Tensor:
    """The mains of one of two frequencies, a few tenths off; what the rate cannot tell folds back, as it would."""
    time_s = torch.arange(num_samples) / rate_hz
    mains_hz = torch.tensor(_MAINS_HZ)[torch.randint(len(_MAINS_HZ), (count, 1), generator=generator)]
    frequency_hz = mains_hz + 0.2 * torch.randn(count, 1, generator=generator)
    phase = 2 * math.pi * torch.rand(count, 1, generator=generator)
    return torch.sin(2 * math.pi * frequency_hz * time_s + phase)
