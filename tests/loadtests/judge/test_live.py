import math

import pytest

from loadtests.judge.live import judge_live

BOUNDS_S = (0.01, 0.025, 0.05, math.inf)


def judge(within, bound_ms=25.0, percentile=99.0, **outcomes):
    return judge_live(
        "net",
        "1-int8",
        outcomes=outcomes,
        buckets=list(zip(BOUNDS_S, within, strict=True)),
        window_s=100.0,
        bound_ms=bound_ms,
        percentile=percentile,
    )


def test_enough_answers_in_time_hold_the_level():
    live = judge((900, 1995, 2000, 2000), ok=2000)
    assert (live.state, live.requests, live.over, live.per_s) == ("held", 2000, 5, 20)
    assert live.holds


def test_a_few_requests_prove_nothing():
    live = judge((50, 100, 100, 100), ok=100)
    assert live.state == "undecided"
    assert not live.holds
    assert judge((50, 100, 100, 100), percentile=90.0, ok=100).state == "held"


def test_slow_answers_refute_it():
    live = judge((900, 1900, 2000, 2000), ok=2000)
    assert (live.state, live.over) == ("slow", 100)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ({"overloaded": 100}, "refusing"),
        ({"internal": 60, "worker_died": 40}, "failing"),
        ({"internal": 3}, "held"),
        ({"invalid": 900, "cancelled": 900}, "held"),
    ],
)
def test_refusals_and_failures_are_over_the_bound_and_a_callers_mistakes_are_not(outcomes, state):
    live = judge((2000, 2000, 2000, 2000), ok=2000, **outcomes)
    assert live.state == state
    assert live.over == sum(
        count for outcome, count in outcomes.items() if outcome in ("overloaded", "internal", "worker_died")
    )


def test_a_bound_inside_a_bucket_counts_as_the_one_below():
    within = (1000, 2000, 2000, 2000)
    assert judge(within, bound_ms=24.9).over == 1000
    assert judge(within, bound_ms=25.0).over == 0


def test_the_percentile_is_interpolated_and_unknown_beyond_the_last_bucket():
    assert judge((1000, 2000, 2000, 2000), ok=2000, percentile=75.0).percentile_ms == pytest.approx(17.5)
    assert judge((0, 0, 100, 2000), ok=2000).percentile_ms is None
    assert judge((0, 0, 0, 0)).percentile_ms is None
    assert judge((0, 0, 0, 0)).state == "undecided"
