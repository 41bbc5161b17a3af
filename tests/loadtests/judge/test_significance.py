import pytest

from loadtests.judge.significance import (
    find_instability,
    find_minimum_requests,
    find_num_discarded,
    find_supported_percentile,
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


def test_instability_compares_the_last_three_windows():
    assert find_instability([500, 100, 110, 105]) == pytest.approx(1.1)
    assert find_instability([100, 100]) == float("inf")
    assert find_instability([100, 0, 100]) == float("inf")
