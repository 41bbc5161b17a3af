"""The live gate's statistics, on simulated candidates: seeded, so that what holds here holds each time."""

import numpy as np
import pytest

from model_store.sequential import ConfidenceSequence

LOOK_EVERY = 8


def judge(values, margin):
    """The outcome on changes of answers in the order in which they come, and after how many it was known."""
    sequence = ConfidenceSequence(margin)
    for number, value in enumerate(values, 1):
        sequence.add(float(value))
        if number % LOOK_EVERY == 0:
            if sequence.upper <= margin:
                return "pass", number
            if sequence.lower >= margin:
                return "fail", number
    return "undecided", len(values)


def simulate(share_changed, margin, num_runs, num_values, seed=0):
    generator = np.random.default_rng(seed)
    runs = [judge(generator.random(num_values) < share_changed, margin) for _ in range(num_runs)]
    outcomes = [outcome for outcome, _ in runs]
    return outcomes, sorted(number for _, number in runs)


@pytest.mark.parametrize(("margin", "num_values", "median"), [(0.03, 800, 150), (0.005, 4000, 1000)])
def test_a_candidate_three_margins_worse_is_found(margin, num_values, median):
    outcomes, numbers = simulate(3 * margin, margin, 40, num_values)
    assert outcomes.count("fail") == 40
    assert numbers[20] < median


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_candidate_that_changes_almost_nothing_passes(share):
    outcomes, numbers = simulate(share * 0.03, 0.03, 40, 2000)
    assert outcomes.count("pass") == 40
    assert numbers[20] < 450


def test_the_rule_of_three_bounds_how_soon_an_equal_candidate_can_pass():
    (_, number) = judge(np.zeros(2000), 0.005)
    assert 3 / 0.005 < number < 2 * 3 / 0.005


def test_a_candidate_just_at_the_margin_is_seldom_judged_however_often_one_looks():
    outcomes, _ = simulate(0.03, 0.03, 60, 1000)
    assert outcomes.count("fail") <= 3  # at most 1.5 of sixty are expected, of each kind
    assert outcomes.count("pass") <= 3


def test_an_equal_candidate_gives_no_false_alarm():
    for share in (0, 0.5, 0.9):
        outcomes, _ = simulate(share * 0.03, 0.03, 20, 1000, seed=1)
        assert outcomes.count("fail") <= 1


def test_changes_that_come_in_bursts_late_are_found_too():
    values = np.concatenate([np.zeros(100), np.ones(40), np.zeros(60)])  # undecided before the first one
    assert judge(values, 0.03)[0] == "fail"


def test_small_changes_of_every_answer_count_by_their_size():
    assert judge(np.full(400, 0.001), 0.03)[0] == "pass"
    assert judge(np.full(400, 0.09), 0.03)[0] == "fail"


def test_bounds_narrow_around_the_mean_and_hold():
    sequence = ConfidenceSequence(0.05)
    assert (sequence.lower, sequence.upper, sequence.mean) == (0, 1, 0)
    for value in np.random.default_rng(3).random(4000) < 0.1:
        sequence.add(float(value))
    assert 0.05 < sequence.lower < 0.1 < sequence.upper < 0.2
    assert sequence.mean == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_takes_nothing_but_shares(wrong):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        ConfidenceSequence(0.1).add(wrong)
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        ConfidenceSequence(wrong)
