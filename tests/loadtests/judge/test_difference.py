import numpy as np
import pytest

from loadtests.judge.difference import DifferenceError, compare_results
from loadtests.judge.verdict import Verdict
from loadtests.results import ModelResults, Results, Run
from tests.loadtests import synthetic

LEVELS = (1, 4, 16, 64)


def make_results(seed, *, slower=1.0, noise=0.02, levels=LEVELS, model="double"):
    """A test of one variant: answers of varying length, on a machine whose speed wanders by `noise`."""
    random = np.random.default_rng(seed)
    runs = []
    for callers in levels:
        speeds = slower * (1 + noise * random.standard_normal(11))
        recording = synthetic.run_closed(
            lambda time_s, callers=callers, speeds=speeds: (
                0.03 * min(callers, 4) ** 0.5 * speeds[min(int(time_s), 10)] * random.lognormal(0, 0.2)
            ),
            callers=min(callers, 4),
        )
        runs.append(
            Run(
                version="1-int8",
                kind="closed loop",
                protocol="grpc",
                round=0,
                callers=callers,
                recording=recording,
                verdict=Verdict(reasons=(), percentile=None, estimate_ms=None),
            )
        )
    index = type("Index", (), {"model": model})()
    results = ModelResults.model_construct(index=index, runs=tuple(runs))
    return Results.model_construct(name=f"run {seed}", models=(results,))


def test_a_pair_of_equals_is_quiet_and_a_tenth_slower_is_caught():
    false_alarms = caught = 0
    for seed in range(0, 40, 2):
        before, same, slower = make_results(seed), make_results(seed + 1), make_results(seed + 1, slower=1.1)
        false_alarms += any(item.is_regression for item in compare_results(before, same))
        found = {item.metric: item for item in compare_results(before, slower)}
        caught += found["mean latency"].is_regression
    assert false_alarms <= 1
    assert caught >= 19


def test_the_ratio_and_what_could_have_been_seen_are_told():
    found = {item.metric: item for item in compare_results(make_results(1), make_results(2, slower=1.2))}
    mean = found["mean latency"]
    assert mean.ratio == pytest.approx(1.2, rel=0.03)
    assert mean.low < mean.ratio < mean.high
    assert (mean.model, mean.variant, mean.pairs) == ("double", "int8", 4)
    assert 0.02 < mean.detectable < 0.1


def test_faster_is_no_regression():
    assert not any(item.is_regression for item in compare_results(make_results(1), make_results(2, slower=0.8)))


def test_more_noise_sees_less():
    calm, noisy = (compare_results(make_results(1, noise=n), make_results(2, noise=n))[0] for n in (0.01, 0.2))
    assert noisy.detectable > 2 * calm.detectable


def test_tests_of_different_models_cannot_be_compared():
    with pytest.raises(DifferenceError, match="run 1 and run 2"):
        compare_results(make_results(1), make_results(2, model="other"))
