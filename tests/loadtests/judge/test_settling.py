import numpy as np
import pytest

from loadtests.judge.settling import LONGER, find_times_longer, may_settle
from loadtests.judge.verdict import judge
from tests.loadtests import synthetic


def judge_closed(service_s, **options):
    recording = synthetic.run_closed(service_s, **options)
    return recording, judge(recording)


def test_noise_asks_for_as_much_longer_as_its_error_is_too_large():
    factors = []
    for noise in (0.4, 0.9):
        paces = np.random.default_rng(2).lognormal(0, noise, 41)
        recording, verdict = judge_closed(lambda time_s, paces=paces: 0.01 * paces[int(time_s * 4)])
        assert [reason.kind for reason in verdict.reasons] == ["too noisy"]
        assert may_settle(verdict)
        factors.append(find_times_longer(recording, verdict))
    assert 1 < factors[0] < factors[1] == LONGER


def test_a_drift_asks_for_another_moment_not_for_more_time():
    recording, verdict = judge_closed(lambda time_s: 0.01 * (1 + time_s / 10))
    assert may_settle(verdict)
    assert find_times_longer(recording, verdict) == 1.0


def test_what_is_too_short_is_made_as_long_as_may_be():
    recording, verdict = judge_closed(lambda time_s: 0.05, length_s=2.0)
    assert may_settle(verdict)
    assert find_times_longer(recording, verdict) == LONGER


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_a_valid_run_and_one_with_errors_stay_as_they_are(share):
    recording = synthetic.run(synthetic.serve_with_errors(0.01, share=share), 100).recording
    assert not may_settle(judge(recording, bound_ms=50.0))
