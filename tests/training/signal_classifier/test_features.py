import numpy as np
import pytest
import torch

from training.signal_classifier.baselines import predict_by_centroid, predict_by_features
from training.signal_classifier.features import find_beats, measure_features
from training.signals.recordings import SignalData, Signals


def spikes(places, length=500):
    """Triangles five samples broad at the given places."""
    signal = np.zeros(length)
    for place in places:
        signal[place - 2 : place + 3] += [0.3, 0.7, 1, 0.7, 0.3]
    return signal


def test_beats_are_found_whichever_way_they_point():
    places = [60, 160, 270, 400]
    for signal in (spikes(places), -spikes(places)):
        assert find_beats(signal, 125.0).tolist() == places


def test_rhythm_is_measured_in_seconds_and_in_shares_of_an_interval():
    (found,) = measure_features(spikes([50, 150, 250, 350, 450])[None], 100.0)
    assert found[:5].tolist() == pytest.approx([1, 0, 0, 1, 1], abs=1e-9)
    (uneven,) = measure_features(spikes([50, 150, 220, 350, 450])[None], 100.0)
    assert uneven[:5].tolist() == pytest.approx([1, 0.2121, 0.4, 0.7, 1.3], abs=1e-3)


def test_features_do_not_depend_on_gain_and_offset_and_are_finite_for_a_flat_signal():
    signal = spikes([60, 160, 270, 400])
    features = measure_features(np.stack([signal, 40 * signal + 7, np.zeros(500)]), 125.0)
    np.testing.assert_allclose(features[0], features[1], rtol=1e-6, atol=1e-6)
    assert np.isfinite(features).all()


@pytest.fixture
def data():
    """Slow and fast rhythms, which both baselines tell apart."""
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        labels = torch.arange(count) % 2
        rows = [spikes(range(30, 480, 90 if label else 50)) for label in labels]
        noise = 0.01 * torch.randn(count, 500, generator=generator)
        return Signals(torch.from_numpy(np.array(rows, np.float32)) + noise, labels)

    return SignalData(name="rhythms", labels=("slow", "fast"), train=draw(20), validation=draw(2), test=draw(10))


def test_simple_methods_tell_two_rhythms_apart(data):
    truth = data.test.labels.numpy()
    assert (predict_by_features(data, 125.0) == truth).all()
    assert (predict_by_centroid(data) == truth).all()
