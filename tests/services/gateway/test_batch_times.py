from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.batch_times import BatchTimes

BATCHES = st.lists(st.tuples(st.integers(1, 64), st.floats(1e-4, 10.0)), min_size=1, max_size=40)


def measure(batches):
    times = BatchTimes()
    for num_rows, seconds in batches:
        times.observe(num_rows, seconds)
    return times


@pytest.mark.parametrize(
    ("observed", "rows", "seconds"),
    [
        ([], 8, 0.0),
        ([(1, 0.01)], 1, 0.01),
        ([(1, 0.01)], 8, 0.01),  # nothing is known of larger ones yet, and a guess must refuse nobody
        ([(8, 0.02)] * 3, 1, 0.02),
        ([(1, 0.011), (10, 0.02), (5, 0.015)], 10, 0.02),
        ([(1, 0.011), (10, 0.02), (5, 0.015)], 12, 0.022),
        ([(1, 0.011), (10, 0.02), (5, 0.015)], 64, 0.0225),  # nor of sizes far from all that were seen
        ([(1, 0.02), (10, 0.01)], 20, 0.014),  # noise makes no batch take less for having more rows
    ],
)
def test_predicts_batches_by_a_line_through_what_was_measured(observed, rows, seconds):
    assert measure(observed).predict(rows) == pytest.approx(seconds, rel=0.1)


def test_follows_a_model_that_becomes_slower():
    times = measure([(4, seconds) for seconds in [0.01] * 100 + [0.05] * 60])
    assert times.predict(4) == pytest.approx(0.05, rel=0.1)


def test_a_few_slow_batches_of_one_row_say_little_of_full_ones():
    slow = [(1, 0.02)] * 20 + [(2, 0.6), (1, 0.3), (1, 0.02), (2, 0.3)]
    assert measure(slow).predict(64) < 0.5


def test_what_was_known_of_larger_batches_is_forgotten_like_all_else():
    times = measure([(1, 0.02), (10, 0.2), (64, 1.28)] + [(1, 0.004)] * 200)
    assert 0.004 <= times.predict(64) < 0.006


@given(BATCHES)
def test_more_rows_never_take_less(batches):
    times = measure(batches)
    predicted = [times.predict(rows) for rows in range(1, 65)]
    assert predicted[0] >= 0
    assert all(after >= before * (1 - 1e-9) for before, after in pairwise(predicted))
