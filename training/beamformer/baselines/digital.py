"""Fully digital baselines on a channel taken at face value.

Dimension letters: N channels, K subcarriers, R receive and T transmit antennas.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.beamformer.metrics import NUM_STREAMS


def beamform_svd(channel: Tensor) -> tuple[Tensor, Tensor]:
    """Dominant singular vectors of complex [N, K, R, T]: precoders [N, K, T, Ns] and combiners [N, K, R, Ns]."""
    left, _, right = torch.linalg.svd(channel, full_matrices=False)
    return right.mH[..., :NUM_STREAMS].resolve_conj(), left[..., :NUM_STREAMS]


def beamform_matched(channel: Tensor) -> tuple[Tensor, Tensor]:
    """Matched filter: each stream is sent along the conjugate of a strong receive antenna's row, received by HF."""
    strongest = channel.abs().square().sum(-1).topk(NUM_STREAMS, dim=-1).indices
    rows = torch.take_along_dim(channel, strongest[..., None], dim=-2)
    precoder = rows.mH / torch.linalg.vector_norm(rows.mH, dim=-2, keepdim=True)
    return precoder, channel @ precoder
