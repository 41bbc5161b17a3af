"""Windows of numbers of any size and level, brought to their own scale.

Dimensions: N windows, L steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST_SCALE = 1e-6  # of the window's mean size: a constant window has no scale of its own


def measure_scale(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [N, 1] of windows [N, L]; the deviation is never zero."""
    level = windows.mean(1, keepdim=True)
    deviation = (windows - level).square().mean(1, keepdim=True).sqrt()
    least = _LEAST_SCALE * windows.abs().mean(1, keepdim=True) + torch.finfo(torch.float32).tiny
    return level, torch.maximum(deviation, least)
