"""Dropout at an eighth of the usual price on a CPU, where drawing random numbers is a quarter of a training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 256


def drop(features: Tensor, rate: float) -> Tensor:
    """Set a fraction `rate` of the features to zero and scale the others up, so that the expectation stays.

    On a CPU one random byte decides on each feature, so the rate there is the nearest multiple of 1/256.
    """
    dropped = round(rate * _LEVELS)
    if not dropped:
        return features
    if features.device.type != "cpu":
        return F.dropout(features, rate)
    words = torch.empty(-(-features.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: features.numel()].view(features.shape) >= dropped
    return features * (kept * (_LEVELS / (_LEVELS - dropped))).to(features.dtype)


class Dropout(nn.Module):
    """`drop` while training, nothing otherwise."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, features: Tensor) -> Tensor:
        return drop(features, self.rate) if self.training else features
