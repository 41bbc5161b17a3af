"""Penalties at points where their values are known."""

from __future__ import annotations

import pytest
import torch

from training.images.gradient_penalties import penalize_gradient, penalize_real_gradient


def test_the_penalty_is_the_squared_distance_of_the_slope_from_one():
    real, fake = torch.rand(8, 1, 4, 4), torch.rand(8, 1, 4, 4)
    penalty = penalize_gradient(lambda x: 0.75 * x.sum((1, 2, 3)), real, fake, torch.Generator())
    assert float(penalty) == pytest.approx((0.75 * 4 - 1) ** 2, rel=1e-5)


def test_r1_is_half_the_squared_slope_at_real_images_and_can_be_lowered():
    slope = torch.tensor(0.75, requires_grad=True)
    real = torch.rand(8, 1, 4, 4)
    penalty = penalize_real_gradient(lambda x: slope * x.square().sum((1, 2, 3)), real)
    squares = float(real.square().sum((1, 2, 3)).mean())
    assert float(penalty) == pytest.approx(0.5 * (2 * 0.75) ** 2 * squares, rel=1e-5)
    penalty.backward()
    assert float(slope.grad) == pytest.approx(4 * 0.75 * squares, rel=1e-5)
