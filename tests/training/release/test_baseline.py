"""A model that never learned is refused, whatever its variants are among each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from model_store.signing import Keyring
from model_store.store import Store
from tests.handlers.conftest import describe_brightness
from training.release.baseline import UntrainedError, compare_with_baseline, refuse_untrained
from training.release.cli import release_model
from training.release.measurement import Measurement
from training.release.spec import Baseline, HeldOut


def measure(scores, baseline, **changes):
    held_out = HeldOut(
        inputs={},
        score=None,
        metric="accuracy",
        dataset="digits test",
        baseline=Baseline(name="the most frequent class", scores=baseline),
        **changes,
    )
    return Measurement(scores=scores, value=held_out.summarize(scores), interval=(0, 1)), held_out


def first_of(count, num_rows=540):
    return (np.arange(num_rows) < count).astype(float)


def test_a_network_below_the_most_frequent_class_is_refused_with_figures():
    measurement, held_out = measure(first_of(43), first_of(540)[::-1] * (np.arange(540) >= 486), binary=True)
    finding = compare_with_baseline(measurement, held_out)
    assert finding.difference == pytest.approx((43 - 54) / 540)
    assert finding.interval[0] < finding.difference < finding.interval[1]
    with pytest.raises(UntrainedError, match=r"accuracy 0\.0796, and the most frequent class reaches 0\.1000") as error:
        refuse_untrained(finding, measurement, held_out)
    assert "say --allow-untrained" in str(error.value)


@pytest.mark.parametrize(("right", "is_beaten"), [(56, False), (200, True)])
def test_the_interval_has_to_exclude_that_nothing_was_learned(right, is_beaten):
    measurement, held_out = measure(first_of(right), (np.arange(540) >= 486).astype(float), binary=True)
    finding = compare_with_baseline(measurement, held_out)
    assert finding.difference > 0
    assert finding.is_beaten is is_beaten


def test_a_metric_over_all_rows_is_compared_by_the_paired_bootstrap():
    losses = np.random.default_rng(0).uniform(1, 2, 400)
    scores, baseline = np.stack([losses, losses], 1), np.stack([1.5 * losses, losses], 1)
    measurement, held_out = measure(scores, baseline, aggregate=lambda rows: -rows[:, 0].sum() / rows[:, 1].sum())
    finding = compare_with_baseline(measurement, held_out)
    assert (finding.value, finding.difference) == (pytest.approx(-1.5), pytest.approx(0.5))
    assert finding.interval == (pytest.approx(0.5), pytest.approx(0.5))


def test_without_a_baseline_nobody_checks():
    measurement, held_out = measure(first_of(0), first_of(540))
    held_out = dataclasses.replace(held_out, baseline=None)
    assert compare_with_baseline(measurement, held_out) is None
    refuse_untrained(None, measurement, held_out)


def test_an_untrained_model_is_released_only_where_that_is_allowed_and_its_manifest_says_so(tmp_path, capsys):
    spec = describe_brightness()
    as_good = Baseline(name="the most frequent class", scores=np.ones(3))
    spec = dataclasses.replace(spec, held_out=dataclasses.replace(spec.held_out, baseline=as_good))
    store = Store(tmp_path / "store", Keyring(tmp_path / "keys"))
    with pytest.raises(UntrainedError, match=r"three levels: difference \+0\.0000"):
        release_model(spec, store, "cpu", ["eager"])
    assert store.models() == []
    release = release_model(spec, store, "cpu", ["eager"], allow_untrained=True)
    words = "UNTRAINED, allowed so: not shown to beat the most frequent class (1.0000) by +0.0000"
    assert release.manifests["eager"].quality.learned_in_words.startswith(words)
    assert f"eager {words}" in capsys.readouterr().out
