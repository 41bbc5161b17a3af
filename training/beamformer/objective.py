"""What the beamformer is trained on: the spectral efficiency it loses, and fresh channels in every step.

Dimension letters: N channels, K subcarriers, M = N·K, R receive and T transmit antennas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from training.beamformer.channel import add_noise
from training.beamformer.data import Source
from training.beamformer.paired import adjoint, multiply
from training.beamformer.unrolled import BeamformingNetwork
from training.engine.averaging import WeightAverage
from training.engine.checkpoint import Resumable
from training.engine.optimization import Updater
from training.engine.seeds import generator_for

DATA_SNR_DB = (0.0, -10.0, -20.0)
_GAP_FLOOR = 1e-3
_STEPS_PER_HEAD = 4
_FIRST_VALIDATION = 1_000_000_000


def pair_spectral_efficiency(
    channel: Tensor, precoder: Tensor, combiner: Tensor, data_snr_db: float, num_subcarriers: int
) -> Tensor:
    """Spectral efficiency [N] of orthonormal weights in pairs: [M, 2, R, T], [M, 2, T, 2], [M, 2, R, 2].

    With two streams log2 det is written out: 1 + s·‖A‖² + s²·|det A|² for the 2×2 matrix A between the weights.
    """
    real, imaginary = multiply(adjoint(combiner), multiply(channel, precoder)).unbind(1)
    determinant_real = (
        real[:, 0, 0] * real[:, 1, 1]
        - imaginary[:, 0, 0] * imaginary[:, 1, 1]
        - real[:, 0, 1] * real[:, 1, 0]
        + imaginary[:, 0, 1] * imaginary[:, 1, 0]
    )
    determinant_imaginary = (
        real[:, 0, 0] * imaginary[:, 1, 1]
        + imaginary[:, 0, 0] * real[:, 1, 1]
        - real[:, 0, 1] * imaginary[:, 1, 0]
        - imaginary[:, 0, 1] * real[:, 1, 0]
    )
    snr = 10 ** (data_snr_db / 10) / precoder.shape[-1]
    power = (real.square() + imaginary.square()).sum((1, 2))
    determinant = determinant_real.square() + determinant_imaginary.square()
    bits = torch.log1p(snr * power + snr**2 * determinant) / math.log(2)
    return bits.view(-1, num_subcarriers).mean(1)


def measure_gap(
    channel: Tensor, weights: tuple[Tensor, Tensor], best: tuple[Tensor, Tensor], num_subcarriers: int
) -> Tensor:
    """Fraction of the optimal spectral efficiency lost: [len(DATA_SNR_DB), N]."""
    gaps = []
    for data_snr_db in DATA_SNR_DB:
        optimum = pair_spectral_efficiency(channel, *best, data_snr_db, num_subcarriers)
        gaps.append(1 - pair_spectral_efficiency(channel, *weights, data_snr_db, num_subcarriers) / optimum)
    return torch.stack(gaps)


def log_gap_loss(gap: Tensor) -> Tensor:
    """Mean logarithm of the gap: a tenth less loss counts the same at high CSI SNR, where little is lost, as at low."""
    return torch.log(gap.clamp_min(-_GAP_FLOOR / 2) + _GAP_FLOOR).mean()


def squared_error_loss(weights: tuple[Tensor, Tensor], best: tuple[Tensor, Tensor]) -> Tensor:
    """Squared error against the singular vectors as an SVD happens to give them; the ablation that cannot work."""
    errors = [(found - optimal).square().sum((1, 2, 3)).mean() for found, optimal in zip(weights, best, strict=True)]
    return errors[0] + errors[1]


@dataclass(frozen=True, kw_only=True)
class NoiseLevels:
    """How noisy training channels are: levels in dB, a fraction of clean ones, and how often the level is told."""

    noisy_db: tuple[float, ...]
    clean_db: tuple[float, ...]
    clean_fraction: float
    known_fraction: float

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw CSI SNRs in dB: [count]."""
        is_clean = torch.rand(count, generator=generator) < self.clean_fraction
        position = torch.rand(count, generator=generator)
        noisy, clean = (low + (high - low) * position for low, high in (self.noisy_db, self.clean_db))
        return torch.where(is_clean, clean, noisy)


class BeamformerTask(Resumable):
    """Train denoiser and hybrid heads together: `fit` of the engine drives it."""

    parts = ("network", "average", "updater")

    def __init__(
        self,
        network: BeamformingNetwork,
        source: Source,
        updater: Updater,
        device: torch.device,
        *,
        batch_size: int,
        levels: NoiseLevels,
        loss: str,
        average_decay: float,
        seed: int,
        num_validation: int,
    ) -> None:
        self.network = network
        self.source = source
        self.updater = updater
        self.device = device
        self.batch_size = batch_size
        self.levels = levels
        self.loss = loss
        self.seed = seed
        self.num_validation = num_validation
        self.average = WeightAverage(network, average_decay)

    @property
    def best_network(self) -> BeamformingNetwork:
        assert isinstance(self.average.network, BeamformingNetwork)
        return self.average.network

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        self.network.train()
        channel, observed, csi_snr_db = self._draw(generator_for(self.seed, step), self.batch_size)
        precoder, combiner, estimate = self.network(observed, csi_snr_db)
        truth, best = self._solve(channel)
        num_subcarriers = self.network.num_subcarriers
        gap = measure_gap(truth, self._to_cells(precoder, combiner), best, num_subcarriers)
        loss = log_gap_loss(gap)
        if self.loss == "mse":
            loss = squared_error_loss(self._to_cells(precoder, combiner), best)
        metrics = {"loss": loss.detach(), "gap": gap[0].mean().detach()}
        if self.network.heads and step % _STEPS_PER_HEAD == 0:
            # Heads have a handful of parameters and learn fast; their graph is deep, so they take turns.
            chains = list(self.network.heads)[step // _STEPS_PER_HEAD % len(self.network.heads)]
            hybrid = self.network.heads[chains](estimate.detach(), precoder.detach())
            hybrid_gap = measure_gap(truth, self._to_cells(hybrid.precoder, hybrid.combiner), best, num_subcarriers)
            loss = loss + log_gap_loss(hybrid_gap)
        self.updater.update(loss, step)
        self.average.update(self.network)
        return metrics

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Percent of the optimum at a data SNR of 0 dB, over the range of CSI SNR."""
        network = self.best_network
        scores = []
        for batch in range(-(-self.num_validation // self.batch_size)):
            channel, observed, csi_snr_db = self._draw(
                generator_for(self.seed, _FIRST_VALIDATION, batch), self.batch_size
            )
            precoder, combiner, _ = network(observed, csi_snr_db)
            truth, best = self._solve(channel)
            gap = measure_gap(truth, self._to_cells(precoder, combiner), best, self.network.num_subcarriers)
            scores.append(100 * (1 - gap))
        percent = torch.cat(scores, dim=1).mean(1)
        return {"percent_of_optimum": float(percent[0]), "percent_at_-20_dB": float(percent[-1])}

    def _draw(self, generator: torch.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Channels and observations float [N, K, R, T, 2], and CSI SNR [N], NaN where it stays unknown."""
        channel = self.source.sample(count, generator)
        csi_snr_db = self.levels.sample(count, generator)
        observed = add_noise(channel, csi_snr_db, generator)
        is_known = torch.rand(count, generator=generator) < self.levels.known_fraction
        told = torch.where(is_known, csi_snr_db, torch.nan)
        parts = (torch.view_as_real(channel), torch.view_as_real(observed), told)
        return tuple(part.to(self.device) for part in parts)  # type: ignore[return-value]

    @torch.no_grad()
    def _solve(self, channel: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The true channels in beamspace [M, 2, R, T] and their optimal weights there."""
        beamspace = self.network.beamspace
        truth = beamspace.to_subcarriers(beamspace.analyze(channel))
        return truth, self.network.subspace(truth)

    def _to_cells(self, precoder: Tensor, combiner: Tensor) -> tuple[Tensor, Tensor]:
        beamspace = self.network.beamspace
        return beamspace.transmit_cells(precoder), beamspace.receive_cells(combiner)
