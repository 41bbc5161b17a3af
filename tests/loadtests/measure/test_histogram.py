import numpy as np
import pytest

from loadtests.measure.histogram import LatencyHistogram


@pytest.fixture
def latencies():
    return np.random.default_rng(1).lognormal(-5, 1, 20_000)


def fill(values):
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    return histogram


@pytest.mark.parametrize("percentile", [50, 90, 99, 99.9])
def test_percentiles_are_exact_within_a_thousandth(latencies, percentile):
    exact_ms = 1e3 * np.sort(latencies)[round(percentile / 100 * len(latencies)) - 1]
    assert fill(latencies).find_percentile_ms(percentile) == pytest.approx(exact_ms, rel=2e-3)


def test_text_form_and_addition_lose_nothing(latencies):
    first, second = fill(latencies[:5000]), fill(latencies[5000:])
    first.add(LatencyHistogram(second.encode()))
    whole = fill(latencies)
    assert len(first) == 20_000
    assert first.encode() == whole.encode()


def test_counts_above_a_bound():
    histogram = fill([0.001] * 90 + [0.2] * 10)
    assert histogram.count_above(100) == 10
    assert histogram.count_above(0.5) == 100
    assert histogram.count_above(250) == 0


def test_discarding_the_slowest():
    histogram = fill([k / 1e3 for k in range(1, 101)])
    assert histogram.find_slowest_ms(0) == pytest.approx(100, rel=1e-3)
    assert histogram.find_slowest_ms(10) == pytest.approx(90, rel=1e-3)


def test_percentile_trace_rises_and_ends_before_the_maximum_percentile(latencies):
    points = fill(latencies).trace_percentiles()
    assert points == sorted(points)
    assert 99.9 < points[-1][0] < 100


def test_extremes_are_kept_at_the_edges():
    histogram = fill([0.0, 1e9])
    assert histogram.max_ms == pytest.approx(600_000, rel=1e-2)
    assert len(histogram) == 2


def test_empty_histogram_has_no_figures():
    histogram = LatencyHistogram()
    assert (histogram.mean_ms, histogram.max_ms, len(histogram)) == (0.0, 0.0, 0)
