from __future__ import annotations

import numpy as np
import pytest

from training.labels.fairness import measure_fairness


def test_finds_the_label_and_the_groups_whose_rates_differ_most():
    # Group a: 10 cats of which 9 are seen, 10 dogs of which 2 are called cats; group b: 6 of 10 and 3 of 10.
    labels = np.array([0] * 10 + [1] * 10 + [0] * 10 + [1] * 10)
    predicted = np.array([0] * 9 + [1] + [0] * 2 + [1] * 8 + [0] * 6 + [1] * 4 + [0] * 3 + [1] * 7)
    groups = np.repeat([0, 1], 20)
    found = measure_fairness(predicted, labels, groups, ("a", "b"), ("cat", "dog"))
    assert found["true_positive_rate"]["label"] == "cat"
    assert found["true_positive_rate"]["highest"] == {"group": "a", "rate": 0.9}
    assert found["true_positive_rate"]["lowest"] == {"group": "b", "rate": 0.6}
    assert found["true_positive_rate"]["gap"] == pytest.approx(0.3)
    low, high = found["true_positive_rate"]["gap_interval"]
    assert low < 0 < 0.3 < high  # ten of each are few
    # Dogs that are called cats are cats that are not seen, from the other side: 1 of 10 against 4 of 10.
    assert (found["false_positive_rate"]["label"], found["false_positive_rate"]["gap"]) == ("dog", pytest.approx(0.3))
    assert found["selection_rate"]["gap"] == pytest.approx(11 / 20 - 9 / 20)


def test_a_gap_is_told_from_chance_among_all_labels():
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 1000)
    groups = random.integers(0, 2, 1000)
    alike = measure_fairness(labels, labels, groups, ("a", "b"), tuple("vwxyz"))
    assert alike["true_positive_rate"]["gap"] == 0
    assert alike["true_positive_rate"]["p_value"] == 1
    missed = np.where((labels == 3) & (groups == 1) & (random.random(1000) < 0.4), 4, labels)
    biased = measure_fairness(missed, labels, groups, ("a", "b"), tuple("vwxyz"))
    assert biased["true_positive_rate"]["label"] == "y"
    assert biased["true_positive_rate"]["lowest"]["group"] == "b"
    assert biased["true_positive_rate"]["gap_interval"][0] > 0.1
    assert biased["true_positive_rate"]["p_value"] < 0.01


def test_labels_that_no_row_has_take_no_part():
    labels = np.array([0, 0, 1, 1])
    found = measure_fairness(labels, labels, np.array([0, 1, 0, 1]), ("a", "b"), ("v", "w", "never"))
    assert found["true_positive_rate"]["gap"] == 0
    assert found["true_positive_rate"]["label"] in ("v", "w")
