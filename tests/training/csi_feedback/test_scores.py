import numpy as np
import pytest

from training.csi_feedback.scores import measure_errors, measure_similarity, nmse_db


@pytest.fixture
def channels():
    return np.random.default_rng(0).standard_normal((5, 4, 3, 2)).astype(np.float32)


def test_errors_are_shares_of_each_channels_own_power(channels):
    restored = channels.copy()
    restored[1] *= 0.9
    restored[2] = 0
    np.testing.assert_allclose(measure_errors(channels, restored), [0, 0.01, 1, 0, 0], atol=1e-6)


def test_nmse_is_the_mean_error_in_db():
    assert nmse_db(np.array([0.01, 0.19])) == pytest.approx(-10)
    assert np.isfinite(nmse_db(np.zeros(3)))


def test_similarity_ignores_scale_and_phase_of_the_response_and_knows_nothing_in_common(channels):
    turned = 7 * np.stack([-channels[..., 1], channels[..., 0]], -1)
    np.testing.assert_allclose(measure_similarity(channels, turned), 1)
    one, other = (np.zeros((1, 4, 3, 2)) for _ in range(2))
    one[0, 0, 0, 0] = other[0, 0, 1, 0] = 1
    assert measure_similarity(one, other).tolist() == [0]
    assert measure_similarity(one, np.zeros_like(one)).tolist() == [0]
    both = one + other
    np.testing.assert_allclose(measure_similarity(one, both), np.sqrt(0.5))
