import math

import pytest

from services.gateway.promises import Promises

IN_TIME, LATE, NEVER = (0.1, 0.05), (0.1, 0.2), (0.1, math.inf)


def observe(promises, *batches):
    for batch in batches:
        promises.observe(batch)
    return promises.factor


def test_predictions_that_hold_are_left_alone():
    assert observe(Promises(), *[[IN_TIME] * 4] * 100) == 1


@pytest.mark.parametrize("missed", [LATE, NEVER])
def test_predictions_that_are_missed_are_lengthened_until_they_are_not(missed):
    promises = Promises()
    assert observe(promises, [missed] * 4) == pytest.approx(1.2, abs=0.01)
    # What takes twice as long as predicted, with one answer in ten even later.
    for number in range(2000):
        took_s = 2.0 if number % 10 else 9.0
        promises.observe([(promises.factor, took_s)])
    assert promises.factor == pytest.approx(2.0, rel=0.1)


def test_a_stall_does_not_shut_the_door_for_long():
    promises = Promises()
    assert observe(promises, *[[NEVER] * 16] * 50) == 4
    assert observe(promises, *[[]] * 50) < 1.5  # only idle workers are found, and nobody is promised anything
