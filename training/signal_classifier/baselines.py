"""What needs no network: what a person would measure, weighed by logistic regression; and the nearest mean spectrum."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from training.signals.features import measure_features
from training.signals.recordings import SignalData


def predict_by_features(data: SignalData, rate_hz: float) -> np.ndarray:
    """The label int64 [N] of each test signal by logistic regression on `measure_features`."""
    from sklearn.linear_model import LogisticRegression  # takes a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(measure_features(data.train.values.numpy(), rate_hz), data.train.labels.numpy())
    labels: np.ndarray = model.predict(measure_features(data.test.values.numpy(), rate_hz))
    return labels


def predict_by_centroid(data: SignalData) -> np.ndarray:
    """The label int64 [N] of each test signal: the one whose training signals' mean amplitude spectrum is nearest."""
    spectra, labels = _measure_spectra(data.train.values), data.train.labels.numpy()
    centroids = np.stack([spectra[labels == label].mean(0) for label in range(len(data.labels))])
    distances = np.square(_measure_spectra(data.test.values)[:, None] - centroids).sum(2)
    nearest: np.ndarray = distances.argmin(1)
    return nearest


def _measure_spectra(signals: Tensor) -> np.ndarray:
    """Amplitude spectra of length 1, of signals [N, L] without their means: they do not tell when beats came."""
    values = signals.numpy()
    spectra = np.abs(np.fft.rfft(values - values.mean(1, keepdims=True), axis=1))
    return spectra / np.maximum(np.linalg.norm(spectra, axis=1, keepdims=True), 1e-12)
