"""What methods reach on the same channels: spectral efficiency in percent of the fully digital optimum's.

Dimension letters: N channels, K subcarriers, R receive and T transmit antennas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from training.beamformer.contenders import Weights
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.release.statistics import bootstrap_interval, paired_bootstrap

DATA_SNR_DB = (0.0, -20.0)
PAIRED_WITH = ("per-cluster HOSVD", "multilinear Wiener", "SVD", "MO-AltMin", "phase AltMin, 30 sweeps")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One method at one CSI SNR and data SNR; `differences` are network minus method, with its interval."""

    setting: str
    method: str
    csi_snr_db: float | None
    data_snr_db: float
    percent: float
    interval: tuple[float, float]
    network_minus_method: tuple[float, float, float] | None = None


def compare_methods(
    channel: Tensor,
    methods: Mapping[str, Callable[[], Weights]],
    setting: str,
    csi_snr_db: float,
    paired_with: Sequence[str] = PAIRED_WITH,
) -> list[Figure]:
    """Measure each method on the true channels complex64 [N, K, R, T]; the first is paired with those named."""
    figures = []
    reference: dict[float, np.ndarray] = {}
    for name, beamform in methods.items():
        precoder, combiner = beamform()
        for data_snr_db in DATA_SNR_DB:
            reached = measure_spectral_efficiency(channel, precoder, combiner, data_snr_db)
            scores = np.stack(
                [reached.double().numpy(), measure_optimum(channel, data_snr_db).double().numpy()], axis=1
            )
            reference.setdefault(data_snr_db, scores)
            paired = None
            if name in paired_with:
                first = reference[data_snr_db]
                low, high, _ = paired_bootstrap(first, scores, percent_of_optimum)
                paired = (percent_of_optimum(first) - percent_of_optimum(scores), low, high)
            figures.append(
                Figure(
                    setting=setting,
                    method=name,
                    csi_snr_db=None if math.isinf(csi_snr_db) else csi_snr_db,
                    data_snr_db=data_snr_db,
                    percent=percent_of_optimum(scores),
                    interval=bootstrap_interval(scores, percent_of_optimum),
                    network_minus_method=paired,
                )
            )
    return figures


def percent_of_optimum(scores: np.ndarray) -> float:
    """100 · Σ reached / Σ optimum for rows [N, 2]."""
    return float(100 * scores[:, 0].sum() / scores[:, 1].sum())
