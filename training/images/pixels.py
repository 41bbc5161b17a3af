"""Images between the bytes that people see and the range that networks draw.

Dimensions: N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scale_images(images_NHWC: Tensor) -> Tensor:
    """Turn uint8 [N, H, W, C] into float32 [N, C, H, W] in [−1, 1]."""
    return images_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1


def quantize_images(images_NCHW: Tensor) -> Tensor:
    """Turn float32 [N, C, H, W] in [−1, 1] into uint8 [N, H, W, C]."""
    return ((images_NCHW + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
