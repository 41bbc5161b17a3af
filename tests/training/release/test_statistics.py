import numpy as np
import pytest
from scipy.stats import binomtest

from training.release.statistics import (
    NEAR_IDENTICAL_ROWS,
    bootstrap_interval,
    bound_of_change,
    mcnemar_p,
    median_interval,
    paired_bootstrap,
    paired_difference_interval,
    rows_for_difference,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (81, 263), (15, 15), (990, 1000)])
def test_wilson_interval_is_scipys(successes, n):
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("n", "place"), [(6, 0), (8, 0), (9, 1), (20, 5)])
def test_the_medians_interval_lies_between_the_values_that_its_tables_name(n, place):
    values = np.random.default_rng(n).permutation(n)
    assert median_interval(values.tolist()) == (place, n - 1 - place)


def test_the_medians_interval_covers_it_whatever_the_distribution():
    samples = np.random.default_rng(3).lognormal(0, 1, (2000, 9))
    covered = np.mean([low <= 1.0 <= high for low, high in map(median_interval, samples.tolist())])
    assert 0.95 <= covered <= 0.975


def test_mcnemar_mid_p_halves_the_observed_point():
    exact = binomtest(1, 7, 0.5).pvalue
    assert mcnemar_p(1, 6) == pytest.approx(exact - 7 / 2**7)
    assert mcnemar_p(1, 6) == mcnemar_p(6, 1)
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(5, 5) == 1


def test_tango_interval_of_its_published_example():
    # Tango 1998, table III (crossover trial of soft contact lens disinfection): 43, 0, 1, 0 of 44.
    low, high = paired_difference_interval(wins=0, losses=1, n=44)
    assert (low, high) == pytest.approx((-0.118, 0.060), abs=1e-3)


def test_no_discordant_pair_still_leaves_doubt():
    low, high = paired_difference_interval(0, 0, 1000)
    assert high == pytest.approx(-low)
    assert high == pytest.approx(3.84 / 1003.84, rel=1e-3)


@pytest.mark.parametrize(("counts", "margin", "rows"), [((0, 0, 128), 0.02, 189), ((0, 0, 100), 0.01, 381)])
def test_the_rows_that_would_be_enough_are_the_fewest(counts, margin, rows):
    assert rows_for_difference(*counts, margin) == rows
    assert paired_difference_interval(0, 0, rows)[0] > -margin >= paired_difference_interval(0, 0, rows - 1)[0]


def test_no_number_of_rows_saves_what_is_worse():
    assert rows_for_difference(1, 4, 100, 0.03) is None
    assert rows_for_difference(1, 3, 100, 0.03) > 400


def test_the_bound_of_change_holds_for_doubts_of_any_usual_shape():
    """It bounds the mean doubt, and so the share of doubts that reach 1, in all but few samples."""
    generator = np.random.default_rng(0)
    shapes = {
        "exponential": (lambda: generator.exponential(0.01, NEAR_IDENTICAL_ROWS), 0.01),
        "beta": (lambda: generator.beta(0.5, 50, NEAR_IDENTICAL_ROWS), 0.5 / 50.5),
        "log-normal": (lambda: generator.lognormal(-5, 1, NEAR_IDENTICAL_ROWS), np.exp(-4.5)),
    }
    for draw, mean in shapes.values():
        bounds = np.array([bound_of_change(draw()) for _ in range(4000)])
        assert (bounds < mean).mean() <= 0.025


def test_paired_interval_keeps_its_coverage():
    generator = np.random.default_rng(0)
    n, p_win, p_loss = 300, 0.01, 0.03
    counts = generator.multinomial(n, [p_win, p_loss, 1 - p_win - p_loss], 800)
    bounds = [paired_difference_interval(int(wins), int(losses), n) for wins, losses, _ in counts]
    covered = np.mean([low <= p_win - p_loss <= high for low, high in bounds])
    assert 0.93 <= covered <= 0.97


def test_bootstrap_interval_of_a_mean_is_the_normal_one():
    scores = np.random.default_rng(1).normal(5, 2, 1000)
    half = 1.96 * scores.std() / np.sqrt(1000)
    assert bootstrap_interval(scores) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=0.02)


def test_paired_bootstrap_sees_through_common_noise():
    generator = np.random.default_rng(2)
    reference = generator.normal(0, 10, 500)
    low, high, p_value = paired_bootstrap(reference - 0.1 + generator.normal(0, 0.1, 500), reference)
    assert -0.12 < low < high < -0.08
    assert p_value == 0


def test_paired_bootstrap_of_an_aggregate():
    statistics = np.stack([np.arange(1.0, 401), np.full(400, 2.0)], axis=1)
    low, high, _ = paired_bootstrap(statistics * [1.1, 1], statistics, lambda rows: rows[:, 0].sum() / rows[:, 1].sum())
    assert low < 0.1 * 200.5 / 2 < high
