"""The simulated queue against queues whose waits are known in closed form."""

from itertools import takewhile

import numpy as np
import pytest

from loadtests.capacity.queueing import simulate, simulate_slices
from loadtests.generate.arrivals import draw_arrivals, draw_arrivals_like
from model_store.certificate import BatchTime


def fixed(*points, spread=0.0):
    return tuple(BatchTime(rows=rows, seconds=s, deviation_s=spread * s, calls=99) for rows, s in points)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_one_row_at_a_time_waits_as_pollaczek_and_khinchine_say(load):
    service_s = 0.01
    waits = simulate(fixed((1, service_s)), 1, 1, load / service_s)
    in_queue_ms = 1e3 * load * service_s / (2 * (1 - load))
    assert waits.answer_ms == pytest.approx(in_queue_ms + 10, rel=0.05)
    assert waits.rows_per_batch == 1


def test_spread_between_calls_makes_them_wait_longer():
    service_s, load = 0.01, 0.5
    waits = simulate(fixed((1, service_s), spread=1.0), 1, 1, load / service_s)
    # M/M/1: the gamma distribution with a deviation like its mean is the exponential one.
    assert waits.answer_ms == pytest.approx(1e3 * service_s / (1 - load), rel=0.05)


def test_where_a_batch_costs_as_much_as_a_row_nobody_waits_longer_than_for_two():
    waits = simulate(fixed((1, 0.01), (64, 0.01)), 64, 1, 400)
    # Whoever comes while a batch runs goes with the next one: half of one is waited for, on average.
    assert waits.queue_ms == pytest.approx(5, rel=0.1)
    assert waits.answer_ms == pytest.approx(15, rel=0.05)
    assert waits.answer_p99_ms == pytest.approx(20, rel=0.02)
    assert waits.rows_per_batch == pytest.approx(4, rel=0.1)


def test_an_idle_worker_never_lets_a_row_wait():
    waits = simulate(fixed((1, 0.01)), 4, 8, 20)
    assert waits.queue_ms == pytest.approx(0, abs=0.01)
    assert waits.answer_ms == pytest.approx(10, rel=0.01)


def test_waits_grow_towards_the_capacity():
    times = fixed((1, 0.002), (32, 0.033))
    capacity = 32 / 0.033
    answers = [simulate(times, 32, 1, load * capacity).answer_ms for load in (0.5, 0.8, 0.95)]
    assert answers == sorted(answers)
    assert answers[2] > 3 * answers[0]


def simulate_seconds(load, pace=1.0, later=None, length_s=2.0):
    times = fixed((1, 0.002), (32, 0.033))

    def draw(random):
        return takewhile(lambda at_s: at_s < 1.25 * length_s, draw_arrivals(load * 32 / 0.033, random))

    def find_pace(now_s):
        return pace if later is None or now_s < 0.75 * length_s else later

    return simulate_slices(times, 32, 1, draw, find_pace=find_pace, warm_up_s=length_s / 4, num_slices=8, seed=1)


def test_waits_of_slices_follow_the_pace():
    as_certified, half_as_fast = simulate_seconds(0.8), simulate_seconds(0.4, 2, length_s=4.0)
    assert half_as_fast.answer_ms == pytest.approx(2 * as_certified.answer_ms)
    assert half_as_fast.rows_per_batch == as_certified.rows_per_batch
    assert as_certified.answer_ms < simulate_seconds(0.8, 1, 1.2).answer_ms < simulate_seconds(0.8, 1.2).answer_ms


def test_a_queue_grows_only_so_far_in_a_slice():
    short, long = (simulate_seconds(1.2, length_s=length_s).answer_ms for length_s in (1.0, 4.0))
    assert 2 * short < long < 1e3


def test_arrivals_are_drawn_as_many_in_each_part_as_came():
    drawn = draw_arrivals_like([2, 0, 300], 3.0, np.random.default_rng(1), since_s=1.0)
    assert np.histogram(drawn, 3, (1.0, 4.0))[0].tolist() == [2, 0, 300]
    assert (np.diff(drawn) >= 0).all()
    assert drawn[2:].mean() == pytest.approx(3.5, abs=0.05)
