import numpy as np
import pytest

from handlers.base import Outputs
from training.release.gate import judge
from training.release.measurement import Measurement, compare, measure_quality, rows_digest
from training.release.spec import HeldOut


def held_out(binary=True, **changes):
    fields = {
        "inputs": {"x": np.arange(70.0)[:, None]},
        "score": lambda outputs: outputs["y"][:, 0] % 2,
        "metric": "accuracy",
        "dataset": "numbers",
        "binary": binary,
    }
    return HeldOut(**(fields | changes))


class Echo:
    """A handler that answers its input and remembers the sizes of its batches."""

    output_names = ("y",)

    def __init__(self, failing_row=None):
        self.batches, self.failing_row = [], failing_row

    def infer(self, inputs, parameters, requested):
        self.batches.append(len(inputs["x"]))
        errors = ["row is bad"] if self.failing_row in inputs["x"][:, 0] else []
        return Outputs({"y": inputs["x"]}, errors)


def measured(scores, doubts=None):
    scores = np.asarray(scores, float)
    return Measurement(scores=scores, value=scores.mean(), interval=(0, 1), doubts=doubts)


def test_all_rows_pass_through_the_handler_in_batches():
    handler = Echo()
    measurement = measure_quality(handler, held_out(), max_rows=64)
    assert handler.batches == [32, 32, 6]
    assert measurement.value == 0.5
    assert measurement.interval == pytest.approx((0.386, 0.614), abs=1e-3)


def test_batches_respect_the_manifests_maximum():
    handler = Echo()
    measure_quality(handler, held_out(), max_rows=20)
    assert handler.batches == [20, 20, 20, 10]


def test_a_failing_row_stops_the_gate():
    with pytest.raises(ValueError, match="held-out row fails in the handler: row is bad"):
        measure_quality(Echo(failing_row=40), held_out(), max_rows=64)


def test_equal_variant_passes_with_enough_rows_and_fails_with_too_few():
    for n, passed in ((1000, True), (100, False)):
        scores = measured(np.ones(n))
        comparison = compare(scores, scores, held_out(), "eager")
        assert comparison.difference == 0
        assert judge(comparison, margin=0.01).passed is passed


def test_too_few_rows_are_not_called_worse_and_the_decision_says_how_many_would_be_enough():
    scores = measured(np.ones(100))
    decision = judge(compare(scores, scores, held_out(), "eager"), margin=0.01)
    assert (decision.outcome, decision.rows_needed) == ("too few rows", 381)
    assert "difference +0.0000 (-0.0370 … +0.0370) on 100 held-out rows; with 381 rows" in decision.why
    enough = measured(np.ones(decision.rows_needed))
    assert judge(compare(enough, enough, held_out(), "eager"), margin=0.01).outcome == "passed"


def test_a_near_identical_variant_needs_64_rows():
    scores, doubts = np.ones(64), np.linspace(0, 1e-3, 64)
    comparison = compare(measured(scores, doubts), measured(scores), held_out(), "eager")
    assert comparison.interval[0] == pytest.approx(-(doubts.mean() + 3.65 * doubts.std(ddof=1) / np.sqrt(64)))
    decision = judge(comparison, margin=0.02)
    assert decision.passed
    assert "no row went further than 0.1 of the way to another answer" in decision.rule


@pytest.mark.parametrize(("doubt", "num_rows"), [(0.2, 64), (1e-3, 63)])
def test_one_doubtful_row_or_a_handful_of_rows_prove_nothing(doubt, num_rows):
    doubts = np.zeros(num_rows)
    doubts[0] = doubt
    comparison = compare(measured(np.ones(num_rows), doubts), measured(np.ones(num_rows)), held_out(), "eager")
    assert (comparison.name, judge(comparison, margin=0.02).outcome) == (
        "McNemar (mid-p), Tango interval",
        "too few rows",
    )


def test_rows_needed_by_a_bootstrapped_score_follow_the_root():
    reference = measured(np.zeros(100))
    variant = measured(np.where(np.arange(100) % 2, 0.19, -0.21))  # mean −0.01, standard error 0.02
    decision = judge(compare(variant, reference, held_out(binary=False), "eager"), margin=0.04)
    assert decision.outcome == "too few rows"
    assert decision.rows_needed == pytest.approx(100 * (1.96 * 0.02 / 0.03) ** 2, rel=0.1)
    worse = compare(measured(variant.scores - 1), reference, held_out(binary=False), "eager")
    assert judge(worse, margin=0.04).outcome == "worse"


def test_outputs_that_are_no_numbers_are_a_fault_and_no_fault_passes():
    class Broken(Echo):
        def infer(self, inputs, parameters, requested):
            values = inputs["x"].copy()
            values[values == 41] = np.nan
            return Outputs({"y": values}, [])

    measurement = measure_quality(Broken(), held_out(score=lambda outputs: np.ones(70)), max_rows=64)
    assert measurement.fault == "output y is NaN or infinite in 1 of 70 rows whose inputs are finite"
    decision = judge(None, 0.1, [measurement.fault])
    assert (decision.passed, decision.outcome) == (False, "unsound")


def test_a_worse_variant_fails_and_says_by_how_much():
    reference = measured(np.ones(500))
    variant = measured(np.arange(500) >= 15)
    comparison = compare(variant, reference, held_out(), "eager")
    decision = judge(comparison, margin=0.01)
    assert not decision.passed
    assert decision.why.startswith("difference -0.0300 (-0.0")
    assert decision.why.endswith("the lower bound is not above −0.01")
    assert decision.outcome == "worse"
    assert comparison.p_value < 0.001


def test_the_reference_itself_passes():
    assert judge(None, margin=0).passed


def test_scores_that_are_no_yes_or_no_are_bootstrapped():
    generator = np.random.default_rng(0)
    reference = measured(generator.normal(0, 1, 400))
    comparison = compare(measured(reference.scores - 0.5), reference, held_out(binary=False), "eager")
    assert comparison.name == "paired bootstrap"
    assert comparison.interval == pytest.approx((-0.5, -0.5))


def test_digest_depends_on_every_row_name_and_dtype():
    numbers = np.arange(4)
    texts = np.array([b"a", b"bc"], object)
    digests = {
        rows_digest({"x": numbers}),
        rows_digest({"y": numbers}),
        rows_digest({"x": numbers.astype(np.int32)}),
        rows_digest({"x": numbers[::-1]}),
        rows_digest({"x": texts}),
        rows_digest({"x": np.array([b"ab", b"c"], object)}),
    }
    assert len(digests) == 6
    assert rows_digest({"x": numbers}) == rows_digest({"x": np.arange(4)})
