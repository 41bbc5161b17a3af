import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.signal_denoiser.baselines import filter_by_wiener, pass_band
from training.signal_denoiser.data import load_data
from training.signal_denoiser.scores import measure_gain, score_signals


def test_half_the_disturbance_is_six_decibels_and_offsets_do_not_count():
    clean, disturbance = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0))
    gain = measure_gain(clean + disturbance / 2 + 7, clean + disturbance, clean)
    torch.testing.assert_close(gain, torch.full((3,), 20 * math.log10(2)), atol=1e-3, rtol=0)


def test_a_perfect_answer_has_a_finite_gain():
    clean = torch.randn(1, 64)
    assert 55 < score_signals(clean.numpy(), clean + 0.1 * torch.randn(1, 64), clean)[0] < 62


def test_a_monitors_band_keeps_ten_hertz_and_loses_wander():
    time_s = torch.arange(1000) / 125
    beat, wander = (torch.sin(2 * math.pi * hz * time_s)[None] for hz in (10, 0.125))
    inner = slice(200, 800)
    assert np.abs(pass_band(beat, 125.0)[0, inner] - beat[0, inner].numpy()).max() < 0.02
    assert np.abs(pass_band(wander, 125.0)[0, inner]).max() < 0.02


def test_wieners_filter_gains_more_than_the_band_and_more_against_stronger_disturbances(tiny_recipe, tmp_path):
    data = load_data("generated", tmp_path, replace(tiny_recipe, num_train=400, num_test=200))
    test = data.test
    gains = score_signals(filter_by_wiener(data, tiny_recipe), test.noisy, test.clean)
    assert gains.mean() > score_signals(pass_band(test.noisy, 125.0), test.noisy, test.clean).mean()
    strong = test.snr_db.numpy() < 5
    assert gains[strong].mean() > gains[~strong].mean() + 2
    assert gains.mean() == pytest.approx(6.5, abs=1.5)
