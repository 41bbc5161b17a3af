import numpy as np
import pytest

from loadtests.judge.difference import DifferenceError, compare_results
from loadtests.judge.rate_search import RateSearch
from loadtests.judge.verdict import Verdict
from loadtests.results import Bound, ModelResults, Results, Run, Search
from tests.loadtests import synthetic
from tests.loadtests.conftest import make_manifest

LEVELS = (1, 4, 16, 64)


def make_results(
    seed, *, slower=1.0, larger=1.0, noise=0.02, levels=LEVELS, model="double", variants=("int8",), bound_ms=60, **more
):
    """A test of one variant: answers of varying length, on a machine whose speed wanders by `noise`.

    A worker's memory differs by 1 % from start to start, and by less from level to level. Of the levels' usual answers
    two take 42, two 60 ms.
    """
    random = np.random.default_rng(seed)
    memory = np.random.default_rng((seed, 1))
    start_bytes = larger * 2e8 * (1 + 0.01 * memory.standard_normal())
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
                worker_bytes=round(start_bytes * (1 + 0.003 * memory.standard_normal())),
            )
        )
    index = type("Index", (), {"model": model, "archives": ("int8",)})()
    bound = Bound(ms=bound_ms, why="as given")
    known = {"index": index, "bound": bound, "runs": tuple(runs), "manifests": ()}
    results = ModelResults.model_construct(**(known | more))
    return Results.model_construct(name=f"run {seed}", models=(results,))


def test_a_pair_of_equals_is_quiet_and_a_tenth_slower_is_caught():
    false_alarms = caught = 0
    for seed in range(0, 40, 2):
        before, same = make_results(seed), make_results(seed + 1)
        worse = make_results(seed + 1, slower=1.1, larger=1.1)
        false_alarms += any(item.is_regression for item in compare_results(before, same))
        found = {item.metric: item for item in compare_results(before, worse)}
        caught += all(found[name].is_regression for name in ("mean latency", "throughput", "goodput", "worker memory"))
    assert false_alarms <= 1
    assert caught >= 19


def test_the_ratio_and_what_could_have_been_seen_are_told():
    found = {item.metric: item for item in compare_results(make_results(1), make_results(2, slower=1.2))}
    mean = found["mean latency"]
    assert mean.ratio == pytest.approx(1.2, rel=0.03)
    assert mean.low < mean.ratio < mean.high
    assert (mean.model, mean.variant, mean.pairs) == ("double", "int8", 4)
    assert 0.02 < mean.detectable < 0.1


def test_goodput_falls_with_throughput_where_all_is_in_time_and_at_once_where_it_was_just_so():
    def compare(bound_ms, slower):
        tests = [make_results(1, bound_ms=bound_ms), make_results(2, slower=slower, bound_ms=bound_ms)]
        return pick(compare_results(*tests), "goodput")

    assert compare(1000, 1.1).ratio == pytest.approx(1 / 1.1, rel=0.02)
    assert compare(60, 1.1).ratio < 0.85
    never = compare(20, 3)
    assert (never.ratio, never.is_regression) == (0, True)
    assert never.detectable == np.inf


def test_goodput_within_another_bound_is_not_compared():
    found = compare_results(make_results(1), make_results(2, bound_ms=70))
    assert "goodput" not in {item.metric for item in found}


def test_memory_of_levels_in_one_process_counts_once():
    found = pick(compare_results(make_results(1), make_results(2, larger=1.2)), "worker memory")
    assert (found.ratio, found.pairs, found.is_regression) == (pytest.approx(1.2, rel=0.05), 1, True)
    # Less than a twentieth is what the next start of a server may show too.
    assert not pick(compare_results(make_results(1), make_results(2, larger=1.03)), "worker memory").is_regression


def test_faster_is_no_regression():
    assert not any(item.is_regression for item in compare_results(make_results(1), make_results(2, slower=0.8)))


def test_more_noise_sees_less():
    calm, noisy = (
        pick(compare_results(make_results(1, noise=noise), make_results(2, noise=noise)), "mean latency")
        for noise in (0.01, 0.2)
    )
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
