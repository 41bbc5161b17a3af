"""How unusual a signal is without a network: what principal components leave of it, and how far its beats measure.

Dimensions: N signals, L samples, Z components, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.anomaly_detector.network import scale_signals
from training.anomaly_detector.program import measure_deviation
from training.signals.features import measure_features

_LEAST_SPREAD = 1e-3  # of a feature's variance: features that follow from one another leave none of their own


def deviate_from_components(train: Tensor, signals: Tensor, num_values: int) -> np.ndarray:
    """Deviations float32 [N] from what the leading components of usual signals tell, measured as the network's are."""
    usual, seen = scale_signals(train).double(), scale_signals(signals).double()
    mean = usual.mean(0)
    centred = usual - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors.flip(1)[:, :num_values]
    back = (seen - mean) @ axes @ axes.T + mean
    return measure_deviation(back, seen).float().numpy()


def deviate_by_features(train: Tensor, signals: Tensor, rate_hz: float) -> np.ndarray:
    """How far a person's measures of the beats lie from those of usual signals, float64 [N].

    Source: Mahalanobis 1936, On the generalized distance in statistics.
    """
    usual, seen = (measure_features(each.numpy(), rate_hz) for each in (train, signals))
    mean, spread = usual.mean(0), usual.std(0) + 1e-9
    covariance = np.cov(((usual - mean) / spread).T) + _LEAST_SPREAD * np.eye(usual.shape[1])
    away = (seen - mean) / spread
    distances: np.ndarray = np.sqrt(np.einsum("nf,fg,ng->n", away, np.linalg.inv(covariance), away))
    return distances
