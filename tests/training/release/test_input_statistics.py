"""What a release says of its inputs."""

import json

import numpy as np

from model_store.measured import InputFeature
from training.release.input_statistics import NUM_BINS, describe_inputs


def describe(values):
    (described,) = describe_inputs({"x": values})
    return InputFeature.model_validate(described)


def test_bins_hold_equal_shares_and_none_beyond_the_ends():
    values = np.random.default_rng(0).normal(size=3200)
    feature = describe(values)
    assert (feature.input, feature.feature) == ("x", "value")
    assert feature.counts[0] == feature.counts[-1] == 0
    assert len(feature.counts) == NUM_BINS + 2
    assert set(feature.counts[2:-1]) <= {99, 100, 101}
    assert sum(feature.counts) == len(values)
    assert feature.edges[0] < values.min() <= feature.edges[1]
    assert values.max() <= feature.edges[-1]


def test_few_different_values_have_a_bin_each():
    feature = describe(np.array([0] * 70 + [1] * 30, np.uint8))
    assert (feature.edges, feature.counts) == ((-1e-6, 0, 1), (0, 70, 30, 0))


def test_a_constant_and_rows_that_are_not_finite_can_be_described():
    assert describe(np.full(10, -2.5)).counts == (0, 10, 0)
    assert describe(np.full(10, np.nan)).counts == (0, 0)
    mixed = describe(np.array([1 / 3, np.inf, 1 / 3]))
    assert mixed.counts == (0, 2, 0)
    assert mixed.edges[0] < 1 / 3 <= mixed.edges[1]


def test_every_input_is_described_in_few_bytes():
    rng = np.random.default_rng(1)
    texts = np.array([b"x" * size for size in rng.integers(1, 90, 500)], np.object_)
    described = describe_inputs({"image": rng.integers(0, 256, (500, 28, 28), np.uint8), "text": texts})
    assert [(item["input"], item["feature"]) for item in described] == [
        ("image", "mean"),
        ("image", "spread"),
        ("text", "size"),
        ("text", "letters"),
    ]
    assert len(json.dumps(described)) < 4 * 600
