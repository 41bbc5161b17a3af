import numpy as np
import pytest

from loadtests.judge.difference import DifferenceError, compare_results
from loadtests.judge.rate_search import RateSearch
from loadtests.judge.verdict import Verdict
from loadtests.results import ModelResults, Results, Run, Search
from tests.loadtests import synthetic
from tests.loadtests.conftest import make_manifest

LEVELS = (1, 4, 16, 64)


def make_results(seed, *, slower=1.0, noise=0.02, levels=LEVELS, model="double", variants=("int8",), **more):
    """A test of one variant: answers of varying length, on a machine whose speed wanders by `noise`."""
    random = np.random.default_rng(seed)
    runs = []
    for variant, callers in ((variant, callers) for variant in variants for callers in levels):
        speeds = slower * (1 + noise * random.standard_normal(11))
        recording = synthetic.run_closed(
            lambda time_s, callers=callers, speeds=speeds: (
                0.03 * (min(callers, 4) or 2) ** 0.5 * speeds[min(int(time_s), 10)] * random.lognormal(0, 0.2)
            ),
            callers=min(callers, 4) or 2,
        )
        runs.append(
            Run(
                version=f"1-{variant}",
                kind="closed loop" if callers else "Offline",
                protocol="grpc",
                round=0,
                callers=callers or None,
                recording=recording,
                verdict=Verdict(reasons=(), percentile=None, estimate_ms=None),
            )
        )
    index = type("Index", (), {"model": model, "archives": ("int8",)})()
    results = ModelResults.model_construct(**{"index": index, "runs": tuple(runs), "manifests": (), **more})
    return Results.model_construct(name=f"run {seed}", models=(results,))


def test_a_pair_of_equals_is_quiet_and_a_tenth_slower_is_caught():
    false_alarms = caught = 0
    for seed in range(0, 40, 2):
        before, same, slower = make_results(seed), make_results(seed + 1), make_results(seed + 1, slower=1.1)
        false_alarms += any(item.is_regression for item in compare_results(before, same))
        found = {item.metric: item for item in compare_results(before, slower)}
        caught += found["mean latency"].is_regression and found["throughput"].is_regression
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


def test_full_batches_are_compared_with_the_noise_of_the_levels():
    levels = (*LEVELS, 0)
    first, same, slower = (
        make_results(seed, slower=slower, levels=levels) for seed, slower in ((1, 1), (2, 1), (3, 1.3))
    )
    offline = [pick(compare_results(first, second), "Offline throughput") for second in (same, slower)]
    assert [item.is_regression for item in offline] == [False, True]
    assert (offline[1].ratio, offline[1].pairs) == (pytest.approx(1 / 1.3, rel=0.08), 1)


def test_two_levels_are_enough_where_several_variants_show_the_noise():
    how = {"levels": (1, 64), "variants": ("eager", "compiled", "int8")}
    caught = 0
    for seed in range(0, 10, 2):
        found = compare_results(make_results(seed, **how), make_results(seed + 1, slower=1.12, **how))
        caught += sum(item.is_regression for item in found if item.metric == "mean latency")
    assert caught >= 14  # of 15


@pytest.mark.parametrize(
    ("then", "now", "is_regression", "high"),
    [
        ((100, 110), (105, 120), False, 1.2),
        ((100, 110), (95, 101), False, 1.01),  # up to 101/s nothing was shown to fail
        ((100, 110), (80, 90), True, 0.9),
        ((100, 110), (None, 70), True, 0.7),
        ((100, 110), (150, None), False, np.inf),
    ],
)
def test_a_rate_is_lower_where_what_held_before_was_shown_not_to(then, now, is_regression, high):
    tests = [make_results(1, searches=(make_search(*rates),)) for rates in (then, now)]
    found = pick(compare_results(*tests), "rate within the bound")
    assert (found.is_regression, found.high) == (is_regression, pytest.approx(high))


def test_a_rate_within_another_bound_is_not_compared():
    tests = [make_results(1, searches=(make_search(100, 110, bound_ms=bound_ms),)) for bound_ms in (50, 70)]
    assert not [item for item in compare_results(*tests) if item.metric == "rate within the bound"]


@pytest.mark.parametrize(("value", "is_regression"), [(0.95, False), (0.9, True)])
def test_quality_is_worse_where_intervals_say_so(value, is_regression):
    tests = [make_results(1, manifests=(make_quality(each),)) for each in (0.96, value)]
    found = pick(compare_results(*tests), "accuracy")
    assert (found.is_regression, found.ratio) == (is_regression, pytest.approx(value / 0.96))


def pick(found, metric):
    return next(item for item in found if item.metric == metric)


def make_search(held, failed, bound_ms=50.0):
    return Search(version="1-int8", found=RateSearch(bound_ms=bound_ms, held=held, failed=failed, probes=()))


def make_quality(value):
    manifest = make_manifest("int8")
    changed = {"metric": "accuracy", "value": value, "interval": (value - 0.02, value + 0.02)}
    return manifest.model_copy(update={"quality": manifest.quality.model_copy(update=changed)})
