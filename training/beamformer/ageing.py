"""What becomes of a channel between its estimate and the use of the weights made from it.

Angles stay; path gains change as a first-order Gauss–Markov process whose correlation is that of Clarke's model.
Source: Truong and Heath 2013, Effects of Channel Aging in Massive MIMO Systems, arXiv:1305.6151, section II-B; Clarke
1968 (the correlation J₀(2π f_D τ)).
"""

from __future__ import annotations

import math

import torch
from scipy.special import j0

from training.beamformer.channel import ChannelModel, Rays, combine_rays

CARRIER_HZ = 28e9
DELAY_S = 125e-6  # a slot at a subcarrier spacing of 120 kHz
_LIGHT_M_S = 299_792_458.0


def find_correlation(speed_km_h: float) -> float:
    """Correlation of a path gain with itself a slot later."""
    doppler_hz = speed_km_h / 3.6 / _LIGHT_M_S * CARRIER_HZ
    return float(j0(2 * math.pi * doppler_hz * DELAY_S))


def age_channels(model: ChannelModel, rays: Rays, correlation: float, generator: torch.Generator) -> torch.Tensor:
    """The channels of rays as they are later: complex64 [N, K, R, T], of the same mean power."""
    fresh = torch.randn(rays.gains.shape, dtype=torch.complex64, generator=generator)
    gains = correlation * rays.gains + math.sqrt(1 - correlation**2) * fresh
    return combine_rays(model, Rays(receive=rays.receive, transmit=rays.transmit, gains=gains))
