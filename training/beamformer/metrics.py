"""Spectral efficiency of precoders and combiners, and its optimum."""

from __future__ import annotations

import torch

NUM_STREAMS = 2


def measure_spectral_efficiency(
    channel: torch.Tensor, precoder: torch.Tensor, combiner: torch.Tensor, data_snr_db: float
) -> torch.Tensor:
    """Evaluate R = log2 det(I + ρ/Ns (WᴴW)⁻¹ WᴴHF FᴴHᴴW), averaged over subcarriers.

    Args:
        channel: complex [N, K, R, T].
        precoder: complex [N, K, T, Ns], ‖F‖² = Ns for each subcarrier.
        combiner: complex [N, K, R, Ns] of full rank.
        data_snr_db: ρ.

    Returns:
        float [N], bits/s/Hz.
    """
    snr = 10 ** (data_snr_db / 10)
    received = combiner.mH @ (channel @ precoder)
    noise = combiner.mH @ combiner
    signal = received @ received.mH * (snr / precoder.shape[-1])
    return ((torch.logdet(noise + signal) - torch.logdet(noise)).real / torch.log(torch.tensor(2.0))).mean(-1)


def measure_optimum(channel: torch.Tensor, data_snr_db: float, num_streams: int = NUM_STREAMS) -> torch.Tensor:
    """Evaluate the fully digital optimum with equal power per stream: float [N], bits/s/Hz; channel [N, K, R, T]."""
    gains = torch.linalg.eigvalsh(channel @ channel.mH)[..., -num_streams:]
    snr = 10 ** (data_snr_db / 10)
    return torch.log2(1 + snr / num_streams * gains.clamp_min(0)).sum(-1).mean(-1)
