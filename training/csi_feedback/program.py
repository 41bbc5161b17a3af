"""The two sides as they are served: channels of mean power 1 to codewords as they are sent, and codewords to channels.

Dimensions: N channels, T delay taps, A angles, M values of a codeword.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from training.csi_feedback.network import CsiCodec

_ROWS = 500


class EncoderProgram(nn.Module):
    """float32 [N, T, A, 2] → codewords float32 [N, M], or uint8 where they are rounded."""

    def __init__(self, codec: CsiCodec) -> None:
        super().__init__()
        self.encoder, self.quantizer = codec.encoder, codec.quantizer

    def forward(self, channels: Tensor) -> Tensor:
        code: Tensor = self.encoder(channels)
        return code if self.quantizer is None else self.quantizer.to_levels(code)


class DecoderProgram(nn.Module):
    """Codewords [N, M] → channels float32 [N, T, A, 2]."""

    def __init__(self, codec: CsiCodec) -> None:
        super().__init__()
        self.decoder, self.quantizer = codec.decoder, codec.quantizer

    def forward(self, codeword: Tensor) -> Tensor:
        restored: Tensor = self.decoder(codeword if self.quantizer is None else self.quantizer.from_levels(codeword))
        return restored


@torch.no_grad()
def restore_channels(codec: CsiCodec, channels: Tensor) -> np.ndarray:
    """What comes back of any number of channels [N, T, A, 2] of mean power 1: float32 of the same shape, on the CPU."""
    device = next(codec.parameters()).device
    encode, decode = EncoderProgram(codec).eval(), DecoderProgram(codec).eval()
    return torch.cat([decode(encode(rows.to(device))).cpu() for rows in channels.split(_ROWS)]).numpy()
