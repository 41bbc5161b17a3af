import numpy as np
import pytest

from loadtests.judge.load import describe_load
from loadtests.judge.verdict import judge
from tests.loadtests import synthetic

BOUND_MS = 50.0


def load_of(server, rate, bound_ms=BOUND_MS):
    return describe_load(synthetic.run(server, rate).recording, bound_ms)


@pytest.mark.parametrize("percentile", [50, 90, 99])
@pytest.mark.parametrize(
    ("server", "rate"),
    [
        (synthetic.serve_in(0.01), 100),
        (synthetic.serve_one_by_one(200), 180),
        (synthetic.serve_one_by_one(200), 240),
        (synthetic.serve_with_stalls(0.01, every_s=10, stall_s=1), 100),
    ],
)
def test_percentiles_are_those_of_the_server(server, rate, percentile):
    run = synthetic.run(server, rate)
    exact_ms = 1e3 * np.percentile(run.latencies_s, percentile, method="inverted_cdf")
    assert run.recording.find_percentile_ms(percentile) == pytest.approx(exact_ms, rel=0.02)


def test_a_server_that_keeps_up_within_the_bound_held_it():
    load = load_of(synthetic.serve_in(0.01), 100)
    assert load.state == "held"
    assert load.offered == load.answered == load.in_time
    assert load.goodput_per_s == load.offered_per_s == pytest.approx(100, rel=0.05)


def test_slow_is_not_overloaded():
    assert load_of(synthetic.serve_in(0.1), 100).state == "slow"
    overloaded = load_of(synthetic.serve_one_by_one(200), 240)
    assert overloaded.state == "overloaded"
    assert overloaded.goodput_per_s < 0.2 * overloaded.offered_per_s


def test_just_below_its_capacity_a_server_is_not_overloaded():
    assert load_of(synthetic.serve_one_by_one(200), 120).state == "held"
    assert load_of(synthetic.serve_one_by_one(200), 196).state == "slow"


def test_refusals_are_not_good_and_not_failures():
    load = load_of(synthetic.refuse_above(150, 0.01), 300)
    assert load.state == "refusing"
    assert load.goodput_per_s == pytest.approx(150, rel=0.05)
    assert (load.answered + load.refused, load.failed) == (load.offered, 0)


def test_errors_can_never_look_fast():
    run = synthetic.run(synthetic.serve_with_errors(0.01, share=0.05), 100)
    load = describe_load(run.recording, BOUND_MS)
    assert load.state == "failing"
    assert load.failed == pytest.approx(0.05 * load.offered, rel=0.25)
    assert run.recording.find_percentile_ms(99) is None
    assert [reason.kind for reason in judge(run.recording, bound_ms=BOUND_MS).reasons] == ["errors"]


def test_stalls_are_found_and_dated():
    recording = synthetic.run(synthetic.serve_with_stalls(0.01, every_s=10, stall_s=1), 100).recording
    assert [stall.at_s for stall in recording.stalls] == pytest.approx([9, 19, 29], abs=0.1)
    assert [stall.length_s for stall in recording.stalls] == pytest.approx([1, 1, 1], abs=0.1)
    assert max(window.max_ms for window in recording.windows) == pytest.approx(1000, rel=0.05)


def test_a_lull_in_the_arrivals_is_no_stall():
    assert synthetic.run(synthetic.serve_in(0.01), rate=2, length_s=60).recording.stalls == ()


def test_a_stall_in_a_closed_loop_is_called_out_and_does_not_pass_for_noise():
    recording = synthetic.run_closed(lambda time_s: 1.0 if time_s % 10 > 9.5 else 0.01, length_s=30)
    assert len(recording.stalls) == 3
    assert judge(recording).valid


def test_the_warm_up_is_left_out():
    def answer(arrivals):
        return arrivals + np.where(arrivals < 1.0, 0.5, 0.01), [""] * len(arrivals)

    recording = synthetic.run(answer, 100, 10, warm_up_s=1.0).recording
    assert recording.latencies().max_ms == pytest.approx(10, rel=1e-2)
    assert recording.num_offered == pytest.approx(1000, rel=0.1)
    assert recording.started == 1.0
