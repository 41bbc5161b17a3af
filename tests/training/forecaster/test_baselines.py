import math

import numpy as np
import torch

from tests.training.forecaster.test_scores import make_windows
from training.forecaster.baselines import LinearForecaster, forecast_seasonal_naive
from training.forecaster.scores import score_steps

LEVELS = (0.1, 0.5, 0.9)


def test_seasonal_naive_repeats_the_last_season_beyond_one_season():
    quantiles = forecast_seasonal_naive(make_windows([[1, 2, 1, 2, 4, 6]], [[0, 0, 0]]), LEVELS)
    assert quantiles[0, :, 1].tolist() == [4, 6, 4]
    width = quantiles[0, :, 2] - quantiles[0, :, 1]
    deviation = math.sqrt((0 + 0 + 9 + 16) / 4)
    np.testing.assert_allclose(width, 1.2816 * deviation * np.sqrt([1, 1, 2]), rtol=1e-3)


def test_seasonal_naives_interval_covers_a_seasonal_random_walk():
    steps = np.random.default_rng(0).standard_normal((2000, 30, 2)).cumsum(1).reshape(2000, 60)
    windows = make_windows(steps[:, :50], steps[:, 50:])
    covered = score_steps(forecast_seasonal_naive(windows, LEVELS), windows, LEVELS)["coverage"].mean()
    assert abs(covered - 0.8) < 0.03


def test_the_linear_forecaster_learns_a_recurrence_and_its_errors(generator):
    """A sine obeys x[t] = 2 cos(ω) x[t − 1] − x[t − 2], whatever its phase, level and size."""
    time = torch.arange(30) * 2 * math.pi / 7

    def draw(count):
        phase, level = 6.3 * torch.rand(count, 1, generator=generator), torch.randn(count, 1, generator=generator)
        clean = 100 * ((time + phase).sin() + level)
        return clean + 5 * torch.randn(count, 30, generator=generator)

    linear = LinearForecaster(draw(3000), 24, LEVELS)
    test = draw(500)
    quantiles = linear.forecast(test[:, :24])
    windows = make_windows(test[:, :24].tolist(), test[:, 24:].tolist(), period=7)
    assert abs(score_steps(quantiles, windows, LEVELS)["coverage"].mean() - 0.8) < 0.04
    error = np.abs(quantiles[..., 1] - test[:, 24:].numpy()).mean()
    assert error < 6  # of which the noise alone is 4
