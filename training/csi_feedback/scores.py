"""What comes back of a channel is worth: the power of the error, and how alike the responses are.

Dimensions: N channels, T delay taps, A angles, F subcarriers.
"""

from __future__ import annotations

import numpy as np

_PADDING = 2  # subcarriers for each tap, so that the responses between them are seen too


def measure_errors(channels: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """The error's power as a share of the channel's, float64 [N], of channels [N, T, A, 2]."""
    difference = np.square(restored.astype(np.float64) - channels).sum((1, 2, 3))
    shares: np.ndarray = difference / np.square(channels.astype(np.float64)).sum((1, 2, 3))
    return shares


def nmse_db(errors: np.ndarray) -> float:
    """NMSE in dB of the errors of channels [N]. Source: Wen, Shih and Jin 2018, arXiv:1712.08919, eq. 10."""
    return float(10 * np.log10(max(float(errors.mean()), np.finfo(np.float64).tiny)))


def measure_similarity(channels: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """Cosine similarity ρ, float64 [N], averaged over subcarriers: 1 where a beam formed by what came back is the best.

    Source: Wen, Shih and Jin 2018, arXiv:1712.08919, eq. 11, here of the taps that are kept.
    """
    truth, guess = (_respond(each) for each in (channels, restored))
    product = np.abs((truth.conj() * guess).sum(2))
    sizes = np.linalg.norm(truth, axis=2) * np.linalg.norm(guess, axis=2)
    return np.divide(product, sizes, out=np.zeros_like(product), where=sizes > 0).mean(1)


def _respond(channels: np.ndarray) -> np.ndarray:
    """Frequency responses complex [N, F, A] of channels [N, T, A, 2]."""
    entries = channels[..., 0] + 1j * channels[..., 1]
    return np.fft.fft(entries, _PADDING * channels.shape[1], axis=1)
