"""What takes no network: the band of a heart monitor, and Wiener's filter of training signals.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import signal
from torch import Tensor

from training.engine.seeds import generator_for
from training.signal_denoiser.data import SignalData, disturb
from training.signal_denoiser.recipe import Recipe

_BAND_HZ = (0.5, 40.0)  # of monitors. Source: Kligfield et al. 2007, Circulation 115, 1306–1324
_ORDER = 2  # of each way; forth and back it is twice that, without a delay
_WIENER_SEED, _MOST_SIGNALS = 20_261_128, 4000


def pass_band(signals: Tensor, rate_hz: float) -> np.ndarray:
    """Keep of signals [N, L] what lies between 0.5 and 40 Hz, or below nine tenths of half the rate."""
    highest_hz = min(_BAND_HZ[1], 0.45 * rate_hz)
    sections = signal.butter(_ORDER, (_BAND_HZ[0], highest_hz), "bandpass", fs=rate_hz, output="sos")
    found: np.ndarray = signal.sosfiltfilt(sections, signals.double().numpy(), axis=1).astype(np.float32)
    return found


def filter_by_wiener(data: SignalData, recipe: Recipe) -> np.ndarray:
    """Test signals [N, L] through the linear filter without delay that loses least of training signals.

    Each signal is brought to unit power first, as the network brings it, so that loud ones do not count for more.
    Source: Wiener 1949: the cross spectrum of what came and what was, over the power spectrum of what came.
    """
    chosen = data.train[torch.arange(min(len(data.train), _MOST_SIGNALS))]
    pairs = disturb(chosen, recipe, generator_for(_WIENER_SEED))
    scale = pairs.noisy.std(1, keepdim=True)
    came, was = (np.fft.rfft((each / scale).double().numpy()) for each in (pairs.noisy, pairs.clean))
    response = (came.conj() * was).sum(0) / np.square(np.abs(came)).sum(0)
    found: np.ndarray = np.fft.irfft(np.fft.rfft(data.test.noisy.double().numpy()) * response, data.num_samples)
    return found.astype(np.float32)
