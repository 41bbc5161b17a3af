import numpy as np
import pytest
import torch

from training.signals.cardiogram import LABELS, draw_cardiograms
from training.signals.features import find_beats

RATE_HZ = 125.0
COUNT = 40


def draw(condition, seed=0):
    labels = torch.full((COUNT,), LABELS.index(condition))
    return draw_cardiograms(labels, 512, RATE_HZ, torch.Generator().manual_seed(seed)).numpy()


@pytest.fixture(scope="module")
def normal():
    return draw("normal")


def irregularity(signals):
    """The median, over signals, of how much intervals between beats change from one to the next."""
    intervals = [np.diff(find_beats(signal, RATE_HZ)) for signal in signals]
    return np.median([np.abs(np.diff(each)).mean() / each.mean() for each in intervals])


def test_the_same_seed_gives_the_same_patients_and_another_seed_others(normal):
    assert np.array_equal(draw("normal"), normal)
    assert not np.isclose(draw("normal", seed=1), normal).all(1).any()


def test_healthy_hearts_beat_50_to_105_times_a_minute(normal):
    rates = [60 * RATE_HZ / np.diff(find_beats(signal, RATE_HZ)).mean() for signal in normal]
    assert min(rates) > 40
    assert max(rates) < 120
    assert irregularity(normal) < 0.1


def test_fibrillating_hearts_beat_without_order_and_flutter_between_beats(normal):
    found = draw("atrial fibrillation")
    assert irregularity(found) > 2 * irregularity(normal)


def test_a_premature_beat_comes_early_and_a_pause_follows(normal):
    def least_and_greatest(signals):
        intervals = [np.diff(find_beats(signal, RATE_HZ)) for signal in signals]
        return np.median([each.min() / np.median(each) for each in intervals]), np.median(
            [each.max() / np.median(each) for each in intervals]
        )

    usual, early = least_and_greatest(normal), least_and_greatest(draw("premature ventricular beat"))
    assert early[0] < 0.8 < usual[0]
    assert early[1] > 1.2 > usual[1]


def around_beats(signals, start, end):
    """Samples from so many after to so many after each beat's peak, relative to its height, a row for each signal."""
    rows = []
    for signal in signals:
        places = [place for place in find_beats(signal, RATE_HZ) if 40 < place < 470]
        rows.append(np.mean([signal[place + start : place + end] / signal[place] for place in places], 0))
    return np.array(rows)


def test_a_block_makes_the_complex_broad(normal):
    def breadth(signals):
        return np.median((np.abs(around_beats(signals, -12, 16)) > 0.3).sum(1))

    assert breadth(draw("bundle-branch block")) > 1.5 * breadth(normal)


def test_st_elevation_lifts_what_follows_the_complex(normal):
    lifted, usual = (np.median(around_beats(each, 11, 15)) for each in (draw("ST elevation"), normal))
    assert lifted > usual + 0.05


def test_signals_are_finite_and_of_some_millivolts(normal):
    heights = normal.max(1)
    assert np.isfinite(normal).all()
    assert heights.min() > 0.2
    assert heights.max() < 6
