import numpy as np
import pytest
import torch

from training.forecaster.scores import (
    mean_of_clusters,
    pinball_losses,
    saved_percent,
    score_steps,
    seasonal_scales,
    sum_clusters,
)
from training.forecaster.windows import Windows

LEVELS = (0.1, 0.5, 0.9)


def make_windows(history, future, period=2):
    history, future = (torch.tensor(rows, dtype=torch.float32) for rows in (history, future))
    count = len(history)
    return Windows(history, future, torch.full((count,), period), ("a",) * count, np.arange(count))


def test_pinball_loss_weighs_errors_by_the_level():
    future = np.array([[5.0]])
    assert pinball_losses(np.array([[[1.0]]]), future, [0.9]) == pytest.approx(0.9 * 4)
    assert pinball_losses(np.array([[[6.0]]]), future, [0.9]) == pytest.approx(0.1)
    both = pinball_losses(np.array([[[1.0, 6.0]]]), future, [0.9, 0.9])
    assert both == pytest.approx((0.9 * 4 + 0.1) / 2)


def test_the_true_quantile_has_the_least_pinball_loss():
    drawn = np.random.default_rng(0).standard_normal((1, 20_000))
    losses = [pinball_losses(np.full((1, 20_000, 1), place), drawn, [0.9]).mean() for place in (1.0, 1.2816, 1.6)]
    assert losses[1] == min(losses)


def test_errors_are_in_units_of_the_histories_seasonal_differences():
    windows = make_windows([[0, 10, 3, 13, 6, 16]], [[9, 19]])
    assert seasonal_scales(windows).tolist() == [3]
    forecast = np.array([[[3.0, 6.0, 9.0], [0.0, 1.0, 2.0]]])
    scores = score_steps(forecast, windows, LEVELS)
    assert scores["mase"].tolist() == [[1, 6]]
    assert scores["coverage"].tolist() == [[1, 0]]
    assert scores["pinball"][0, 0] == pytest.approx((0.1 * 6 + 0.5 * 3 + 0) / 3 / 3)


def test_a_constant_history_has_a_finite_score():
    scores = score_steps(np.full((1, 2, 3), 7.0), make_windows([[7.0] * 6], [[7.0, 8.0]]), LEVELS)
    assert np.isfinite(scores["mase"]).all()


def test_means_of_clusters_are_means_over_windows():
    sums = sum_clusters(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]))
    assert sums.tolist() == [[3, 2], [6, 1]]
    assert mean_of_clusters(sums) == 3


def test_saved_percent_is_a_share_of_the_baselines_loss():
    assert saved_percent(np.array([[1.0, 2.0], [2.0, 4.0]])) == 50
