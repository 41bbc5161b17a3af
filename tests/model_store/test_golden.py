import re

import numpy as np
import pytest

from model_store.golden import GoldenAnswer, take_rows

NUMBERS = np.array([[1, 2], [3, 4]], np.float32)
WORDS = np.array([b"cat", b"dog"], np.object_)


def explain(expected, found, tolerance=0.0):
    answer = GoldenAnswer(inputs=("x",), output="y", expected=expected, tolerance=tolerance)
    return answer.explain_mismatch(found)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (NUMBERS, NUMBERS * np.float32(1.0009)),
        (WORDS, WORDS.copy()),
        (np.array([3, 4]), np.array([3, 4])),
        (np.array([[np.nan, np.inf]], np.float32), np.array([[np.nan, np.inf]], np.float32)),
    ],
    ids=["rounding", "words", "integers", "not finite"],
)
def test_the_same_answer_is_no_mismatch(expected, found):
    assert explain(expected, found, 0.001) == ""


@pytest.mark.parametrize(
    ("expected", "found", "why"),
    [
        (
            NUMBERS,
            NUMBERS * np.float32(1.002),
            "deviates by 0.002 of its size from what was released; 0.001 is allowed",
        ),
        (NUMBERS, NUMBERS * np.float32("nan"), "deviates by"),
        (WORDS, WORDS[::-1], "is another in 2 of 2 rows"),
        (np.array([3, 4]), np.array([3, 5]), "is another in 1 of 2 rows"),
        (NUMBERS, NUMBERS[:, :1], r"is float32 of shape \[2, 1\], released was float32 of shape \[2, 2\]"),
        (NUMBERS, NUMBERS.astype(np.float16), "is float16 .*, released was float32"),
    ],
    ids=["numbers", "not a number", "words", "integers", "shape", "dtype"],
)
def test_another_answer_is_explained(expected, found, why):
    assert re.search(why, explain(expected, found, 0.001))


def test_examples_are_taken_from_their_start_again_where_there_are_too_few():
    assert take_rows(np.array([1, 2, 3]), 5).tolist() == [1, 2, 3, 1, 2]
