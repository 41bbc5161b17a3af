import numpy as np
import pytest
import torch

from tests.training.signals.spikes import draw_spikes
from training.signal_classifier.baselines import predict_by_centroid, predict_by_features
from training.signals.recordings import SignalData, Signals


@pytest.fixture
def data():
    """Slow and fast rhythms, which both baselines tell apart."""
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        labels = torch.arange(count) % 2
        rows = [draw_spikes(range(30, 480, 90 if label else 50)) for label in labels]
        noise = 0.01 * torch.randn(count, 500, generator=generator)
        return Signals(torch.from_numpy(np.array(rows, np.float32)) + noise, labels)

    return SignalData(name="rhythms", labels=("slow", "fast"), train=draw(20), validation=draw(2), test=draw(10))


def test_simple_methods_tell_two_rhythms_apart(data):
    truth = data.test.labels.numpy()
    assert (predict_by_features(data, 125.0) == truth).all()
    assert (predict_by_centroid(data) == truth).all()
