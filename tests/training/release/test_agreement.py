import numpy as np
import pytest

from training.release.agreement import score_agreement
from training.release.spec import HeldOut

UNSCORED = HeldOut(inputs={}, score=None, metric="agreement", dataset="rows")


def test_probabilities_agree_when_the_best_class_does():
    held_out = score_agreement(UNSCORED, {"p": np.array([[0.6, 0.4], [0.2, 0.8]])})
    assert (held_out.metric, held_out.binary) == ("top-1 agreement", True)
    assert held_out.score({"p": np.array([[0.9, 0.1], [0.6, 0.4]])}).tolist() == [1, 0]


def test_doubt_is_how_far_probabilities_went_towards_another_class():
    held_out = score_agreement(UNSCORED, {"p": np.array([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9], [0.1, 0.9]])})
    answers = np.array([[0.59, 0.41], [0.5, 0.5], [0.1, 0.9], [0.5, 0.5]])
    assert held_out.doubt({"p": answers}) == pytest.approx([0.1, 0, 0, 1])
    assert held_out.doubt({"p": np.full((4, 2), np.nan)}).tolist() == [1, 1, 1, 1]


def test_values_agree_by_relative_error_of_the_worst_output():
    reference = {"y": np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 1.0]]), "n": np.array([1, 2, 3])}
    held_out = score_agreement(UNSCORED, reference)
    assert not held_out.binary
    assert held_out.doubt is None
    answers = {"y": np.array([[3.0, 4.5], [0.0, 0.0], [np.nan, 1.0]]), "n": np.array([1, 5, 3])}
    assert held_out.score(answers).tolist() == pytest.approx([0.9, 0, 0])
    assert held_out.score(reference).tolist() == [1, 1, 1]
