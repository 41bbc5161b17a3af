import numpy as np
import pytest

from model_store.agreement import measure_change


def words(*rows):
    return np.array(rows, np.object_)


@pytest.mark.parametrize(
    ("answer", "other", "change"),
    [
        ({"label": words(b"a", b"b")}, {"label": words(b"a", b"c")}, [0, 1]),
        ({"label": words([b"a", b"b"])}, {"label": words([b"a", b"c"])}, [0]),  # the best is the same
        ({"class": np.array([1, 2])}, {"class": np.array([1, 3])}, [0, 1]),
        (
            {"label": words(b"a"), "probabilities": np.array([[0.9, 0.1]])},
            {"label": words(b"a"), "probabilities": np.array([[0.6, 0.4]])},
            [0],
        ),
        ({"p": np.array([[0.9, 0.1], [0.6, 0.4]])}, {"p": np.array([[0.7, 0.3], [0.4, 0.6]])}, [0, 1]),
        ({"y": np.array([[3.0, 4.0], [0.0, 2.0]])}, {"y": np.array([[3.0, 4.5], [0.0, 2.0]])}, [0.1, 0]),
        ({"y": np.array([[3.0, 4.0]])}, {"y": np.array([[np.nan, 4.0]])}, [1]),
        ({"y": np.array([[3.0, 4.0]])}, {"y": np.array([[3.0]])}, [1]),
        ({"image": np.full((1, 2, 2, 1), 100, np.uint8)}, {"image": np.full((1, 2, 2, 1), 101, np.uint8)}, [0.01]),
    ],
)
def test_words_decide_and_numbers_count_by_how_far_they_are(answer, other, change):
    assert measure_change(answer, other).tolist() == pytest.approx(change)
