"""The noise level of a channel estimate, from the estimate alone."""

from __future__ import annotations

import torch
from scipy.special import gammaincinv
from torch import Tensor

_QUANTILE = 0.03
_NUM_BISECTIONS = 14


def estimate_noise_power(taps: Tensor, num_taps: int) -> Tensor:
    """Estimate the noise variance per entry from beamspace taps [N·K, 2, …]: float [N].

    A channel fills few beamspace cells, noise all of them. Noise alone, summed over a cell's K taps, has a power of
    Gamma distribution: a low quantile over the cells tells its mean. It is found by bisection, without sorting.
    """
    power = taps.square().sum(1).unflatten(0, (-1, num_taps)).flatten(2).sum(1)
    high = power.mean(1)
    low = high * 1e-6
    for _ in range(_NUM_BISECTIONS):
        middle = torch.sqrt(low * high)
        is_above = (power < middle[:, None]).to(power.dtype).mean(1) > _QUANTILE
        low, high = torch.where(is_above, low, middle), torch.where(is_above, middle, high)
    return torch.sqrt(low * high) / float(gammaincinv(num_taps, _QUANTILE))
