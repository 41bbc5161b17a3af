"""The noise level of a channel estimate, from the estimate alone."""

from __future__ import annotations

import torch
from scipy.special import gammaincinv
from torch import Tensor

_QUANTILE = 0.03
_LEAST_SHARE = 1e-6


def estimate_noise_power(taps: Tensor, num_taps: int) -> Tensor:
    """Estimate the noise variance per entry from beamspace taps [N·K, 2, …]: float [N].

    A channel fills few beamspace cells, noise all of them. Noise alone, summed over a cell's K taps, has a power of
    Gamma distribution: a low quantile over the cells tells its mean. Where there is none it is a small share of all.
    """
    power = taps.square().sum(1).unflatten(0, (-1, num_taps)).flatten(2).sum(1)
    num_lowest = int(_QUANTILE * power.shape[1]) + 1
    quantile = torch.topk(power, num_lowest, largest=False).values[:, -1]
    return torch.maximum(quantile, _LEAST_SHARE * power.mean(1)) / float(gammaincinv(num_taps, _QUANTILE))
