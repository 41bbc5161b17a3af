"""What is watched of an input."""

import numpy as np
import pytest

from model_store.input_features import measure_features


def test_short_rows_are_watched_value_by_value():
    features = measure_features(np.array([[1, 2], [3, 4]], np.int32))
    assert {name: values.tolist() for name, values in features.items()} == {"value 0": [1, 3], "value 1": [2, 4]}
    assert list(measure_features(np.array([1.0, 2.0]))) == ["value"]


def test_long_rows_are_watched_as_a_whole():
    images = np.zeros((2, 4, 4), np.uint8)
    images[1, :2] = 200
    features = measure_features(images)
    assert {name: values.tolist() for name, values in features.items()} == {"mean": [0, 100], "spread": [0, 100]}


def test_texts_are_watched_by_size_and_letters():
    texts = np.array([b"ab", b"", "éé".encode()], np.object_)
    features = measure_features(texts)
    assert features["size"].tolist() == [2, 0, 4]
    assert features["letters"].tolist() == [pytest.approx(97.5), 0, (0xC3 + 0xA9) / 2]


def test_infinities_make_no_noise():
    rows = np.full((1, 9), np.inf, np.float32)
    assert np.isnan(measure_features(rows)["spread"][0])
