"""Dropout drops its share, keeps the expectation, and lets gradients through what it kept."""

from __future__ import annotations

import pytest
import torch

from training.sequences.dropout import Dropout, drop


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_a_share_is_dropped_and_the_rest_scaled_up(rate: float) -> None:
    torch.manual_seed(0)
    dropped = drop(torch.ones(1000, 203), rate)
    assert float((dropped == 0).float().mean()) == pytest.approx(rate, abs=0.005)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert dropped.unique().numel() == 2


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (drop(torch.ones(800_000), 0.5) > 0).float() - 0.5
    for distance in (1, 7, 8, 64):
        assert abs(float((kept[distance:] * kept[:-distance]).mean())) < 0.002


def test_gradients_follow_what_was_kept() -> None:
    features = torch.ones(64, 3, requires_grad=True)
    dropped = drop(features, 0.3)
    dropped.sum().backward()
    torch.testing.assert_close(features.grad, dropped.detach())


def test_nothing_is_dropped_outside_training_or_at_rate_zero() -> None:
    features = torch.randn(8, 8, dtype=torch.bfloat16)
    assert Dropout(0.5).eval()(features) is features
    assert drop(features, 0.0) is features
    assert drop(features, 0.5).dtype == torch.bfloat16
