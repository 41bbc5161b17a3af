from __future__ import annotations

import numpy as np
import pytest

from training.labels.groups import measure_groups


def make_rows(*counts):
    """Rows of groups, each given by (right, n)."""
    right = np.concatenate([np.arange(n) < successes for successes, n in counts])
    return right, np.repeat(np.arange(len(counts)), [n for _, n in counts])


def test_names_the_worst_group_and_how_far_it_is_below_the_best():
    found = measure_groups(*make_rows((56, 70), (48, 80), (0, 0)), ("a", "b", "empty"))
    assert {name: group["accuracy"] for name, group in found["groups"].items()} == {"a": 0.8, "b": 0.6}
    assert (found["worst"], found["best"], found["gap"]) == ("b", "a", pytest.approx(0.2))
    assert found["gap_interval"] == pytest.approx([0.0524, 0.3339], abs=1e-4)  # Newcombe's own example, method 10
    assert found["p_value"] < 0.03


def test_a_gap_between_many_small_groups_may_be_chance():
    right, groups = make_rows(*[(9, 10)] * 9, (7, 10))
    found = measure_groups(right, groups, tuple("abcdefghij"))
    assert found["gap"] == pytest.approx(0.2)
    assert found["p_value"] > 0.5
