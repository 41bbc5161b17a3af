from statistics import fmean

import numpy as np
import pytest

from loadtests.judge.significance import (
    find_drift,
    find_minimum_requests,
    find_num_discarded,
    find_relative_error,
    find_supported_percentile,
    is_refuted,
    is_supported,
)


@pytest.mark.parametrize(
    ("percentile", "minimums"),
    [(90.0, (44, 64, 197)), (99.0, (459, 662, 2010)), (99.9, (4603, 6636, 20140))],
)
def test_minimum_requests_are_loadgens(percentile, minimums):
    assert tuple(find_minimum_requests(percentile, over) for over in (0, 1, 10)) == minimums


@pytest.mark.parametrize("percentile", [90.0, 99.0])
@pytest.mark.parametrize("over", [0, 1, 5])
def test_one_request_less_is_not_enough(percentile, over):
    minimum = find_minimum_requests(percentile, over)
    assert is_supported(minimum, over, percentile)
    assert not is_supported(minimum - 1, over, percentile)


def test_discards_as_many_as_loadgen_does():
    # LoadGen's own summaries: "Processed at least 64 queries (4682). Would discard 419 highest latency queries."
    assert find_num_discarded(4682, 90.0) == 419
    assert find_num_discarded(751, 99.0) == 0
    assert find_num_discarded(661, 99.0) is None


@pytest.mark.parametrize(("requests", "percentile"), [(63, None), (64, 90.0), (662, 99.0), (6635, 99.0), (6636, 99.9)])
def test_supported_percentile_grows_with_the_requests(requests, percentile):
    assert find_supported_percentile(requests) == percentile


def test_a_bound_is_refuted_by_more_over_it_than_chance_gives():
    assert is_refuted(100, 6, 99.0)
    assert not is_refuted(1000, 10, 99.0)
    assert not is_refuted(1000, 0, 99.0)


def test_the_error_of_a_mean_comes_from_its_windows():
    # Student's t for 3 degrees of freedom is 3.182; the standard deviation is 1.291.
    assert find_relative_error([9, 10, 11, 12]) == pytest.approx(3.182 * 1.291 / 2 / 10.5, rel=1e-3)
    assert find_relative_error([10, 0]) == float("inf")
    assert find_relative_error([10]) == float("inf")


def test_drift_compares_the_halves_with_their_spread():
    drift, error = find_drift([1.0, 1.0, 1.1, 1.5, 1.5, 1.6])
    assert drift == pytest.approx(0.5 / 1.283, rel=1e-2)
    assert error < drift
    drift, error = find_drift([1.0, 2.0, 1.5, 2.1, 1.1, 1.6])
    assert error > abs(drift)


def draw_hanging_together(random, share, num=40, spread=0.15):
    """Windows that hand a share of their deviation on, as a busy host's do."""
    deviations = [random.normal()]
    for _ in range(num - 1):
        deviations.append(share * deviations[-1] + (1 - share**2) ** 0.5 * random.normal())
    return [1 + spread * deviation for deviation in deviations]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_the_error_of_a_mean_covers_the_truth_however_long_disturbances_last(share):
    random = np.random.default_rng(3)
    runs = [draw_hanging_together(random, share) for _ in range(400)]
    covered = [abs(fmean(means) - 1) <= find_relative_error(means) * fmean(means) for means in runs]
    assert fmean(covered) == pytest.approx(0.95, abs=0.05)
    drifting = [abs(drift) > error for drift, error in map(find_drift, runs)]
    assert fmean(drifting) <= 0.1


def test_a_slow_growth_is_no_disturbance():
    random = np.random.default_rng(3)
    drift, error = find_drift([1 + 0.4 * index / 40 + 0.03 * random.normal() for index in range(40)])
    assert drift == pytest.approx(0.2 / 1.2, abs=0.02)
    assert error < 0.05
