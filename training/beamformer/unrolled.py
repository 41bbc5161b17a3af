"""The beamformer: from a noisy channel estimate to precoders and combiners, in real arithmetic from end to end.

Dimension letters: N channels, K subcarriers, R receive and T transmit antennas, M = N·K.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.beamformer.beamspace import Beamspace
from training.beamformer.channel import ChannelModel
from training.beamformer.hybrid import HybridHead
from training.beamformer.metrics import NUM_STREAMS
from training.beamformer.noise import estimate_noise_power
from training.beamformer.paired import full_precision
from training.beamformer.subspace import DominantSubspace

NUM_CHAINS = (2, 3, 4)
MIN_CSI_SNR_DB = -25.0
MAX_CSI_SNR_DB = 30.0
_TINY = 1e-30


class BeamformingNetwork(nn.Module):
    """What all networks here share: fixed transforms, and hybrid heads by number of RF chains; none: digital only."""

    def __init__(self, model: ChannelModel) -> None:
        super().__init__()
        self.num_subcarriers = model.num_subcarriers
        self.beamspace = Beamspace(model.num_subcarriers, model.receive_shape, model.transmit_shape)
        self.subspace = DominantSubspace(model.num_receive, NUM_STREAMS)
        self.heads = nn.ModuleDict()

    @property
    def chain_counts(self) -> list[int]:
        """Numbers of RF chains for which there is a head."""
        return [int(chains) for chains in self.heads]

    def forward(self, channel: Tensor, csi_snr_db: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Beamform for channels float [N, K, R, T, 2] at csi_snr_db [N]; NaN there means unknown.

        Returns:
            Precoders [M, 2, T, Ns], combiners [M, 2, R, Ns] and the channels' estimate in beamspace [M, 2, R, T].
        """
        raise NotImplementedError


class Beamformer(BeamformingNetwork):
    """Denoise a channel estimate and factor it: fully digital weights, and what hybrid heads need."""

    def __init__(self, model: ChannelModel, denoiser: nn.Module, *, num_phase_sweeps: int) -> None:
        """`denoiser` takes beamspace taps [M, 2, R, X, Y] of unit noise variance and their CSI SNR in dB [M]."""
        super().__init__(model)
        self.denoiser = denoiser
        self.heads.update(
            {str(chains): HybridHead(self.beamspace, chains, NUM_STREAMS, num_phase_sweeps) for chains in NUM_CHAINS}
        )

    def forward(self, channel: Tensor, csi_snr_db: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with full_precision(channel):
            taps = self.beamspace.analyze(channel)
        denoised = self.denoise(taps, csi_snr_db)
        with full_precision(channel):
            estimate = self.beamspace.to_subcarriers(denoised)
            right, left = self.subspace(estimate)
            return self.beamspace.transmit_response(right), self.beamspace.receive_response(left), estimate

    def denoise(self, taps: Tensor, csi_snr_db: Tensor) -> Tensor:
        """Denoise beamspace taps [M, 2, R, X, Y] of any scale; noise comes back at 1."""
        power = taps.square().sum(1).reshape(-1, self.num_subcarriers * taps[0, 0].numel()).mean(1)
        ratio = power / (estimate_noise_power(taps, self.num_subcarriers) + _TINY)
        measured_db = 10 * torch.log10((ratio - 1).clamp_min(_TINY))
        snr_db = torch.where(torch.isnan(csi_snr_db), measured_db, csi_snr_db).clamp(MIN_CSI_SNR_DB, MAX_CSI_SNR_DB)
        # The power is that of channel and noise together: P = S + σ² = σ²·(1 + SNR).
        noise = power / (1 + torch.pow(10.0, snr_db / 10))
        scale = torch.rsqrt(noise + _TINY).repeat_interleave(self.num_subcarriers)
        snr_db = snr_db.repeat_interleave(self.num_subcarriers)
        return self.denoiser(taps * scale[:, None, None, None, None], snr_db)
