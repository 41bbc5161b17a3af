"""The body of a U-Net: images or signals down to few points and up again, what each level saw handed across.

Source: Ronneberger, Fischer and Brox 2015, arXiv:1505.04597; here with padding, normalization and nearest upsampling.
Dimensions: N images, C channels, H height, W width; of signals one length L in place of both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]
_CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
_POOLINGS = {1: F.max_pool1d, 2: F.max_pool2d}


class DoubleConvolution(nn.Sequential):
    """Two convolutions of 3 points a side, normalized; modules of their own for each, as quantization asks."""

    def __init__(self, num_inputs: int, num_outputs: int, norm: Norm, num_dimensions: int = 2) -> None:
        convolution = _CONVOLUTIONS[num_dimensions]
        super().__init__(
            convolution(num_inputs, num_outputs, 3, padding=1, bias=False),
            norm(num_outputs),
            nn.ReLU(),
            convolution(num_outputs, num_outputs, 3, padding=1, bias=False),
            norm(num_outputs),
            nn.ReLU(),
        )


class UNetBody(nn.Module):
    """Down over `depth` halvings and up again; `width` channels at full resolution, twice as many on each level below.

    Without skips the way up sees nothing but the lowest level; a body that does not rise has no way up. Signals have
    one dimension.
    """

    def __init__(
        self,
        *,
        num_channels: int,
        width: int,
        depth: int,
        skips: bool = True,
        rises: bool = True,
        norm: Norm = nn.BatchNorm2d,
        num_dimensions: int = 2,
    ) -> None:
        super().__init__()
        self.widths = [width * 2**level for level in range(depth + 1)]
        self.skips, self.pool = skips, _POOLINGS[num_dimensions]
        self.down = nn.ModuleList(
            DoubleConvolution(below, above, norm, num_dimensions)
            for below, above in zip([num_channels, *self.widths[:-1]], self.widths, strict=True)
        )
        self.up, self.narrow = nn.ModuleList(), nn.ModuleList()
        for above in reversed(self.widths[:-1]) if rises else ():
            self.narrow.append(_CONVOLUTIONS[num_dimensions](2 * above, above, 1))
            self.up.append(DoubleConvolution(2 * above if skips else above, above, norm, num_dimensions))

    def descend(self, x: Tensor) -> list[Tensor]:
        """Features of every level, the highest first, of images [N, C, H, W] whose sides `depth` halvings divide."""
        levels = [self.down[0](x)]
        for block in self.down[1:]:
            levels.append(block(self.pool(levels[-1], 2)))
        return levels

    def rise(self, levels: list[Tensor]) -> Tensor:
        """Features at full resolution [N, width, H, W], of those of every level."""
        *above, x = levels
        for narrow, block, level in zip(self.narrow, self.up, reversed(above), strict=True):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = block(torch.cat([level, x], 1) if self.skips else x)
        return x
