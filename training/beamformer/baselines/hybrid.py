"""Hybrid baselines that approximate fully digital weights: OMP, PE-AltMin and closed-form phase AltMin.

All take targets complex [N, K, T, Ns] and return analog parts [N, T, L], shared by the subcarriers, of modulus 1/√T.
Dimension letters: N channels, K subcarriers, T antennas of the side in question, L RF chains, S = K·Ns targets.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.beamformer.metrics import NUM_STREAMS


def select_by_omp(targets: Tensor, dictionary: Tensor, num_chains: int) -> Tensor:
    """Pick columns of a dictionary [N, T, D] of array responses by orthogonal matching pursuit.

    Source: El Ayach et al. 2014, Spatially Sparse Precoding in Millimeter Wave MIMO Systems, algorithm 1.
    """
    wanted = _side_by_side(targets)
    residual = wanted
    chosen = torch.empty(wanted.shape[0], 0, dtype=torch.int64)
    for _ in range(num_chains):
        match = (dictionary.mH @ residual).abs().square().sum(-1)
        match = match.scatter(1, chosen, -1.0)
        chosen = torch.cat([chosen, match.argmax(1, keepdim=True)], dim=1)
        analog = torch.take_along_dim(dictionary, chosen[:, None, :], dim=2)
        residual = wanted - analog @ torch.linalg.lstsq(analog, wanted).solution
    return analog


def alternate_phase_extraction(targets: Tensor, num_chains: int, num_iterations: int = 30) -> Tensor:
    """PE-AltMin: the digital part is kept semi-unitary, so that the analog part is the phase of Σ F_k F_DDᴴ.

    Source: Yu et al. 2016, algorithm 2, its OFDM form of section V.
    """
    wanted = _side_by_side(targets)
    analog = _start_phases(wanted, num_chains)
    for _ in range(num_iterations):
        products = targets.mH @ (analog / math.sqrt(analog.shape[1]))[:, None]
        left, _, right = torch.linalg.svd(products, full_matrices=False)
        digital = right.mH @ left.mH
        analog = _keep_phase((targets @ digital.mH).sum(1))
    return analog / math.sqrt(analog.shape[1])


def alternate_phases(targets: Tensor, num_chains: int, num_sweeps: int = 30) -> Tensor:
    """Closed-form phase AltMin: column by column, F_RF,j becomes the phase of C_j − (F_RF G)_j + F_RF,j G_jj."""
    wanted = _side_by_side(targets)
    analog = _start_phases(wanted, num_chains)
    for _ in range(num_sweeps):
        baseband = torch.linalg.solve(analog.mH @ analog, analog.mH @ wanted)
        cross, gram = wanted @ baseband.mH, baseband @ baseband.mH
        for index in range(num_chains):
            own = analog[..., index] * gram[:, index, index, None]
            column = cross[..., index] - (analog @ gram[..., index, None])[..., 0] + own
            analog = torch.cat([analog[..., :index], _keep_phase(column)[..., None], analog[..., index + 1 :]], dim=-1)
    return analog / math.sqrt(analog.shape[1])


def fit_digital(targets: Tensor, analog: Tensor) -> Tensor:
    """Least-squares hybrid weights [N, K, T, Ns] for an analog part, ‖F_k‖² = Ns."""
    baseband = torch.linalg.lstsq(analog[:, None].expand(-1, targets.shape[1], -1, -1), targets).solution
    weights = analog[:, None] @ baseband
    return weights * (math.sqrt(NUM_STREAMS) / torch.linalg.matrix_norm(weights))[..., None, None]


def redesign_digital(channel: Tensor, analog_precoder: Tensor, analog_combiner: Tensor) -> tuple[Tensor, Tensor]:
    """Best digital parts by an SVD of the channel [N, K, R, T] between the analog parts: precoders, combiners."""
    transmit, _ = torch.linalg.qr(analog_precoder)
    receive, _ = torch.linalg.qr(analog_combiner)
    left, _, right = torch.linalg.svd(receive.mH[:, None] @ channel @ transmit[:, None], full_matrices=False)
    return transmit[:, None] @ right.mH[..., :NUM_STREAMS], receive[:, None] @ left[..., :NUM_STREAMS]


def _side_by_side(targets: Tensor) -> Tensor:
    """Turn [N, K, T, Ns] into [N, T, S]."""
    return targets.permute(0, 2, 1, 3).flatten(2)


def _start_phases(wanted: Tensor, num_chains: int) -> Tensor:
    left, _, _ = torch.linalg.svd(wanted, full_matrices=False)
    return _keep_phase(left[..., :num_chains])


def _keep_phase(values: Tensor) -> Tensor:
    return values / values.abs().clamp_min(1e-20)
