"""A denoiser that knows nothing of arrays: a U-Net over the maps of receive × transmit directions.

Dimension letters: M taps, R receive cells, X and Y the sides of the transmit array, T = X·Y.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from training.engine.normalization import make_normalization
from training.images.unet import UNetBody

_DEPTH = 2
_FIRST_LOGIT = 2.0


class MapDenoiser(nn.Module):
    """A mask in [0, 1] from powers and the noise level, so that a phase of the channel turns the answer alone.

    Guessing the noise's real and imaginary parts instead did not do better in as much time.
    """

    def __init__(self, *, width: int, normalization: str) -> None:
        super().__init__()
        norm = partial(make_normalization, normalization)
        self.body = UNetBody(num_channels=2, width=width, depth=_DEPTH, norm=norm)
        self.leave = nn.Conv2d(width, 1, 1)
        assert self.leave.bias is not None
        nn.init.normal_(self.leave.weight, std=0.05)
        assert self.leave.bias is not None  # to the type checker
        nn.init.constant_(self.leave.bias, _FIRST_LOGIT)

    def forward(self, taps: Tensor, csi_snr_db: Tensor) -> Tensor:
        """Denoise beamspace taps [M, 2, R, X, Y] of unit noise variance; csi_snr_db is [M], R and T multiples of 4."""
        power = torch.log1p(taps.square().sum(1, keepdim=True)).flatten(3)
        level = (csi_snr_db / 10)[:, None, None, None].expand_as(power)
        features = self.body.rise(self.body.descend(torch.cat([power, level], 1)))
        mask = torch.sigmoid(self.leave(features))
        return taps * mask.view(taps[:, :1].shape)
