"""Normalizations of feature maps [N, C, H, W], by name."""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import nn

NormalizationName = Literal["batch", "layer", "group", "instance"]
_NUM_GROUPS = 4


def make_normalization(name: str, num_channels: int) -> nn.Module:
    """Make one with a learned scale and shift for each channel: over a batch, or over all, some or one of the channels.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167; Wu and He 2018, Group Normalization, arXiv:1803.08494, figure 2.

    Raises:
        ValueError: unknown name.
    """
    groups = {"layer": 1, "group": math.gcd(_NUM_GROUPS, num_channels), "instance": num_channels}
    if name == "batch":
        return nn.BatchNorm2d(num_channels)
    if name not in groups:
        raise ValueError(f"unknown normalization {name!r}; use one of {', '.join(get_args(NormalizationName))}")
    return nn.GroupNorm(groups[name], num_channels)
