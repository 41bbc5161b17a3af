"""What is left of disturbances, signal by signal.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

_LEAST = 1e-8  # of the signal's power: what floats leave of a perfect answer


def measure_gain(found: Tensor, noisy: Tensor, clean: Tensor) -> Tensor:
    """By how many decibels [N] answers [N, L] are nearer to clean signals than what came was.

    Means do not count: a lead that no direct current passes has none.
    """
    before, after = (_centre(each - clean).square().sum(1) for each in (noisy, found))
    least = _LEAST * clean.square().sum(1)
    gain: Tensor = (10 / math.log(10)) * (torch.log(before + least) - torch.log(after + least))
    return gain


def score_signals(found: np.ndarray, noisy: Tensor, clean: Tensor) -> np.ndarray:
    """As `measure_gain`, of answers float32 [N, L] as they are served; float64 [N]."""
    return measure_gain(torch.from_numpy(found).double(), noisy.double(), clean.double()).numpy()


def _centre(signals: Tensor) -> Tensor:
    return signals - signals.mean(1, keepdim=True)
