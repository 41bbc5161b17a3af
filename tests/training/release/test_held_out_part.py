import numpy as np
import pytest

from training.release.held_out_part import halve
from training.release.spec import Baseline, HeldOut

TRUTH = np.array([0.0, 1.0, 2.0, 3.0, 4.0])


def make_held_out(count=5):
    return HeldOut(
        inputs={"x": np.arange(count)[:, None]},
        score=lambda outputs: (outputs["y"][:, 0] == TRUTH[:count]).astype(float),
        metric="accuracy",
        dataset="numbers",
        binary=True,
        baseline=Baseline(name="zero", scores=(TRUTH[:count] == 0).astype(float)),
        doubt=lambda outputs: np.abs(outputs["y"][:, 0] - TRUTH[:count]),
    )


def test_halves_share_no_row_and_leave_none_out():
    first, second = halve(make_held_out())
    assert first.inputs["x"][:, 0].tolist() == [0, 2, 4]
    assert second.inputs["x"][:, 0].tolist() == [1, 3]
    assert (first.dataset, second.dataset) == ("numbers, even rows", "numbers, odd rows")


def test_each_half_is_scored_against_its_own_rows_of_the_truth():
    first, second = halve(make_held_out())
    assert first.score({"y": np.array([[0.0], [2.0], [9.0]])}).tolist() == [1, 1, 0]
    assert second.score({"y": np.array([[9.0], [3.0]])}).tolist() == [0, 1]
    assert (first.baseline.scores.tolist(), second.baseline.scores.tolist()) == ([1, 0, 0], [0, 0])
    assert second.doubt({"y": np.array([[1.25], [3.0]])}).tolist() == [0.25, 0]


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="numbers has 3 held-out rows; a search needs 4 or more"):
        halve(make_held_out(3))
