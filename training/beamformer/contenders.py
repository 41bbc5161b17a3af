"""Every method that an evaluation compares, behind two signatures: digital and hybrid beamforming of noisy channels.

Dimension letters: N channels, K subcarriers, R receive and T transmit antennas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.beamformer.baselines.denoising import (
    estimate_gains_of_known_angles,
    filter_multilinear,
    project_on_known_angles,
    shrink_singular_values,
    truncate_hosvd,
)
from training.beamformer.baselines.digital import beamform_matched, beamform_svd
from training.beamformer.baselines.hybrid import (
    alternate_phase_extraction,
    alternate_phases,
    fit_digital,
    redesign_digital,
    select_by_omp,
)
from training.beamformer.baselines.manifold import alternate_on_manifold
from training.beamformer.channel import ChannelModel, Rays
from training.beamformer.program import DigitalProgram, HybridProgram
from training.beamformer.unrolled import BeamformingNetwork

Weights = tuple[Tensor, Tensor]
_NETWORK_ROWS = 32


@dataclass(frozen=True)
class Observation:
    """Noisy channels complex64 [N, K, R, T] at one CSI SNR (infinity: exact), and the rays behind them if known."""

    channel: Tensor
    csi_snr_db: float
    rays: Rays | None
    model: ChannelModel

    @property
    def noise_variance(self) -> Tensor:
        return torch.full((len(self.channel),), 10 ** (-self.csi_snr_db / 10))


# CSI SNR in dB → ranks of the four array sides: the best of a search on 48 channels that no test uses.
HOSVD_RANKS: dict[float, tuple[int, int, int, int]] = {
    10.0: (3, 3, 5, 5),
    0.0: (3, 3, 4, 4),
    -5.0: (2, 2, 3, 3),
    -10.0: (2, 2, 2, 2),
    -15.0: (1, 1, 2, 2),
}


def digital_baselines(observation: Observation) -> dict[str, Callable[[], Weights]]:
    """Fully digital methods by name; those that only make sense on noisy channels are left out on exact ones."""
    channel, noise, model = observation.channel, observation.noise_variance, observation.model
    methods: dict[str, Callable[[], Weights]] = {
        "matched filter": lambda: beamform_matched(channel),
        "SVD": lambda: beamform_svd(channel),
    }
    if math.isinf(observation.csi_snr_db):
        return methods
    ranks = HOSVD_RANKS[min(HOSVD_RANKS, key=lambda level: abs(level - observation.csi_snr_db))]
    methods |= {
        "singular-value shrinkage": lambda: beamform_svd(shrink_singular_values(channel, noise)),
        "per-cluster HOSVD": lambda: beamform_svd(truncate_hosvd(channel, model, ranks)),
        "multilinear Wiener": lambda: beamform_svd(filter_multilinear(channel, model, noise)),
    }
    rays = observation.rays
    if rays is not None and model.num_clusters == model.num_subcarriers:
        methods |= {
            "genie: span of angles": lambda: beamform_svd(project_on_known_angles(channel, rays)),
            "genie: path gains": lambda: beamform_svd(estimate_gains_of_known_angles(channel, model, rays, noise)),
        }
    return methods


def hybrid_baselines(observation: Observation, num_chains: int) -> dict[str, Callable[[], Weights]]:
    """Hybrid methods by name; on noisy channels they start from the multilinear Wiener filter's estimate."""
    channel, rays = observation.channel, observation.rays
    if not math.isinf(observation.csi_snr_db):
        channel = filter_multilinear(channel, observation.model, observation.noise_variance)
    precoder, combiner = beamform_svd(channel)

    def fit(analog: Callable[[Tensor], Tensor]) -> Weights:
        return fit_digital(precoder, analog(precoder)), fit_digital(combiner, analog(combiner))

    methods: dict[str, Callable[[], Weights]] = {
        "MO-AltMin": lambda: fit(lambda targets: torch.from_numpy(alternate_on_manifold(targets.numpy(), num_chains))),
        "phase AltMin, 30 sweeps": lambda: redesign_digital(
            channel, alternate_phases(precoder, num_chains), alternate_phases(combiner, num_chains)
        ),
        "PE-AltMin": lambda: fit(lambda targets: alternate_phase_extraction(targets, num_chains)),
    }
    if rays is not None:
        transmit, receive = (side.permute(0, 2, 1, 3).flatten(2) for side in (rays.transmit, rays.receive))
        methods["OMP"] = lambda: (
            fit_digital(precoder, select_by_omp(precoder, transmit, num_chains)),
            fit_digital(combiner, select_by_omp(combiner, receive, num_chains)),
        )
    return methods


@torch.no_grad()
def beamform_network(
    network: BeamformingNetwork, observation: Observation, *, num_chains: int = 0, is_level_told: bool = True
) -> Weights:
    """The network's weights, complex; `num_chains` 0 is fully digital."""
    level = observation.csi_snr_db if is_level_told else math.nan
    digital = DigitalProgram(network).eval()
    hybrid = HybridProgram(network.heads.values()).eval() if num_chains else None
    parts = []
    for rows in torch.view_as_real(observation.channel).split(_NETWORK_ROWS):
        precoder, combiner, estimate = digital(rows, torch.full((len(rows),), level))
        if hybrid is not None:
            precoder, combiner, *_ = hybrid(precoder, estimate, torch.full((len(rows),), num_chains))
        parts.append((torch.view_as_complex(precoder), torch.view_as_complex(combiner)))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
