"""What a person measures of a heartbeat: rhythm, breadth and heights of waves, and where the power is.

The features of a signal are medians and spreads over its beats, which are found by their steepness; a signal in which
no two beats are found has the rhythm of one.
Source: Pan and Tompkins 1985, IEEE Trans. Biomed. Eng. 32, 230–236, for finding beats; de Chazal et al. 2004, IEEE
Trans. Biomed. Eng. 51, 1196–1206, for which intervals and heights to measure.
Dimensions: N signals, L samples.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

# Parts of a beat in seconds from its peak, and a band's edges in hertz.
_PARTS_S = {"before": (-0.28, -0.08), "complex": (-0.10, 0.12), "segment": (0.08, 0.14), "after": (0.14, 0.42)}
_BASELINE_S = (-0.09, -0.06)
_BANDS_HZ = (0.5, 1.5, 4.0, 8.0, 16.0, 30.0, 48.0)
_REFRACTORY_S, _ENERGY_S = 0.28, 0.10
_LEAST = 1e-6


def measure_features(signals: np.ndarray, rate_hz: float) -> np.ndarray:
    """Features float64 [N, 25] of signals [N, L] of any gain and offset."""
    signals = signals.astype(np.float64)
    centred = signals - np.median(signals, 1, keepdims=True)
    scaled = centred / np.maximum(centred.std(1, keepdims=True), _LEAST)
    beats = np.array([_measure_beats(signal, rate_hz) for signal in scaled])
    return np.concatenate([beats, _measure_bands(scaled, rate_hz), _measure_shape(scaled)], 1)


def find_beats(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    """Places of the beats' peaks in a signal [L]: where its steepness, smoothed, is greatest."""
    from scipy.signal import find_peaks

    width = max(1, round(_ENERGY_S * rate_hz))
    energy = np.convolve(np.square(np.gradient(signal)), np.ones(width) / width, "same")
    places, _ = find_peaks(
        energy, height=0.25 * np.quantile(energy, 0.98), distance=max(1, round(_REFRACTORY_S * rate_hz))
    )
    starts = np.maximum(places - width // 2, 0)
    return np.array([start + np.abs(signal[start : start + width + 1]).argmax() for start in starts], int)


def _measure_beats(signal: np.ndarray, rate_hz: float) -> np.ndarray:
    """Rhythm [5], then heights and breadths of the parts of all beats, their medians and the greatest of two [10]."""
    places = find_beats(signal, rate_hz)
    intervals_s = np.diff(places) / rate_hz
    if not len(intervals_s):
        intervals_s = np.array([len(signal) / rate_hz])
    typical_s = float(np.median(intervals_s))
    changes = np.abs(np.diff(intervals_s)) if len(intervals_s) > 1 else np.zeros(1)
    shares = [intervals_s.std(), changes.mean(), intervals_s.min(), intervals_s.max()]
    rhythm = [typical_s, *(value / typical_s for value in shares)]
    parts = np.array([_measure_beat(signal, place, rate_hz) for place in places] or [np.zeros(6)])
    extremes = [np.ptp(parts[:, 0]), np.ptp(parts[:, 3]), parts[:, 3].max(), np.ptp(parts[:, 5])]
    return np.array([*rhythm, *np.median(parts, 0), *extremes])


def _measure_beat(signal: np.ndarray, place: int, rate_hz: float) -> np.ndarray:
    """A beat's height, what comes before it, the segment, the breadth in seconds, least and most of what follows."""

    def cut(start_s: float, end_s: float) -> np.ndarray:
        start, end = (round(place + each * rate_hz) for each in (start_s, end_s))
        part = signal[max(start, 0) : max(end, 0)]
        return part if len(part) else np.zeros(1)

    level = cut(*_BASELINE_S).mean()
    before, complex_, segment, after = (cut(*edges) - level for edges in _PARTS_S.values())
    height = signal[place] - level
    size = max(abs(height), _LEAST)
    breadth = float((np.abs(complex_) > 0.3 * np.abs(complex_).max()).sum() / rate_hz)
    return np.array(
        [height, before.max() / size, segment.mean() / size, breadth, after.min() / size, after.max() / size]
    )


def _measure_bands(signals: np.ndarray, rate_hz: float) -> np.ndarray:
    """Logarithms of the shares of power in each band, [N, 6]."""
    spectrum = np.square(np.abs(np.fft.rfft(signals, axis=1)))
    frequency_hz = np.fft.rfftfreq(signals.shape[1], 1 / rate_hz)
    whole = spectrum.sum(1) + _LEAST
    bands = [spectrum[:, (frequency_hz >= low) & (frequency_hz < high)].sum(1) for low, high in pairwise(_BANDS_HZ)]
    return np.log(np.stack(bands, 1) / whole[:, None] + _LEAST)


def _measure_shape(signals: np.ndarray) -> np.ndarray:
    """Skewness, kurtosis, least and greatest value, [N, 4]."""
    return np.stack([np.power(signals, 3).mean(1), np.power(signals, 4).mean(1), signals.min(1), signals.max(1)], 1)
