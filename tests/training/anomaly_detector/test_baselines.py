import numpy as np
import torch

from tests.training.signals.spikes import draw_spikes
from training.anomaly_detector.baselines import deviate_by_features, deviate_from_components
from training.labels.unusual import area_under_curve


def test_components_lose_nothing_of_signals_in_their_plane_and_much_of_others():
    time = torch.arange(64) / 64
    waves = torch.stack([torch.sin(6.2832 * 2 * time), torch.cos(6.2832 * 2 * time)])
    usual = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) @ waves
    other = torch.sin(6.2832 * 9 * time)[None]
    found = deviate_from_components(usual, torch.cat([usual[:3], other]), 2)
    assert found[:3].max() < 1e-3
    assert 0.99 < found[3] < 1.01


def test_a_rhythm_that_no_usual_signal_has_lies_far_from_all_of_them():
    random = np.random.default_rng(0)

    def draw(interval, count):
        rows = [draw_spikes(range(30 + start, 480, interval)) for start in random.integers(0, 20, count)]
        return torch.from_numpy((np.array(rows) + 0.02 * random.normal(size=(count, 500))).astype(np.float32))

    usual, seen = draw(90, 40), torch.cat([draw(90, 10), draw(50, 10)])
    distances = deviate_by_features(usual, seen, 125.0)
    assert area_under_curve(np.column_stack([distances, np.arange(20) >= 10])) == 1
