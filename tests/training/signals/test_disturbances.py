import numpy as np
import pytest
import torch

from training.signals.disturbances import draw_disturbances, draw_levels

RATE_HZ = 125.0


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_disturbances_have_the_wanted_power(generator):
    clean = 3 + torch.randn(6, 500, generator=generator)
    snr_db = torch.tensor([-5.0, 0, 5, 10, 20, 40])
    disturbances = draw_disturbances(clean, snr_db, RATE_HZ, generator)
    power = (clean - clean.mean(1, keepdim=True)).square().mean(1) / disturbances.square().mean(1)
    torch.testing.assert_close(10 * power.log10(), snr_db, rtol=0, atol=1e-3)


def test_wander_hum_and_noise_all_occur(generator):
    clean = torch.randn(200, 500, generator=generator)
    disturbances = draw_disturbances(clean, torch.zeros(200), RATE_HZ, generator).numpy()
    spectrum = np.square(np.abs(np.fft.rfft(disturbances, axis=1)))
    frequency_hz = np.fft.rfftfreq(500, 1 / RATE_HZ)
    shares = spectrum / spectrum.sum(1, keepdims=True)
    slow = shares[:, frequency_hz < 1].sum(1)
    hum = shares[:, ((frequency_hz > 49) & (frequency_hz < 51)) | (frequency_hz > 59)].sum(1)
    noise = shares[:, (frequency_hz > 5) & (frequency_hz < 45)].sum(1)
    for share in (slow, hum, noise):
        assert share.max() > 0.5
        assert 0.15 < share.mean() < 0.45


def test_a_flat_signal_gets_finite_disturbances(generator):
    found = draw_disturbances(torch.ones(1, 100), torch.tensor([10.0]), RATE_HZ, generator)
    assert torch.isfinite(found).all()


def test_levels_lie_between_their_bounds(generator):
    levels = draw_levels(1000, -5, 15, generator)
    assert -5 <= levels.min() < -4
    assert 14 < levels.max() <= 15
