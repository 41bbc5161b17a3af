"""The attack on members, on losses whose order is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.labels.membership import measure_area, measure_membership


def test_area_counts_ordered_pairs_ties_by_half():
    area, _ = measure_area(np.array([3.0, 2.0, 1.0]), np.array([2.0, 0.0]))
    assert area == pytest.approx((2 + 1.5 + 1) / 6)


def test_interval_holds_the_truth_in_95_of_100_draws():
    generator = np.random.default_rng(0)
    truth = 0.760250  # Φ(1/√2) for two normal distributions whose means are one deviation apart
    inside = 0
    for _ in range(400):
        low, high = measure_area(generator.normal(1, 1, 80), generator.normal(0, 1, 120))[1]
        inside += low <= truth <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_members_of_small_loss_are_found_and_those_like_others_are_not():
    labels = torch.zeros(200, dtype=torch.int64)
    others = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    learned = others + torch.tensor([4.0, 0.0])
    assert measure_membership(learned, labels, others, labels)["auc"] > 0.95
    figures = measure_membership(others, labels, others, labels)
    assert figures["auc"] == pytest.approx(0.5)
    low, high = figures["auc_interval"]
    assert low < 0.5 < high
    assert figures["n"] == 400
