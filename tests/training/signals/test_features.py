import numpy as np
import pytest

from tests.training.signals.spikes import draw_spikes
from training.signals.features import find_beats, measure_features


def test_beats_are_found_whichever_way_they_point():
    places = [60, 160, 270, 400]
    for signal in (draw_spikes(places), -draw_spikes(places)):
        assert find_beats(signal, 125.0).tolist() == places


def test_rhythm_is_measured_in_seconds_and_in_shares_of_an_interval():
    (found,) = measure_features(draw_spikes([50, 150, 250, 350, 450])[None], 100.0)
    assert found[:5].tolist() == pytest.approx([1, 0, 0, 1, 1], abs=1e-9)
    (uneven,) = measure_features(draw_spikes([50, 150, 220, 350, 450])[None], 100.0)
    assert uneven[:5].tolist() == pytest.approx([1, 0.2121, 0.4, 0.7, 1.3], abs=1e-3)


def test_features_do_not_depend_on_gain_and_offset_and_are_finite_for_a_flat_signal():
    signal = draw_spikes([60, 160, 270, 400])
    features = measure_features(np.stack([signal, 40 * signal + 7, np.zeros(500)]), 125.0)
    np.testing.assert_allclose(features[0], features[1], rtol=1e-6, atol=1e-6)
    assert np.isfinite(features).all()
