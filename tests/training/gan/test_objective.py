"""The penalty at a point where its value is known."""

from __future__ import annotations

import pytest
import torch

from training.gan.objective import penalize_gradient


def test_the_penalty_is_the_squared_distance_of_the_slope_from_one():
    real, fake = torch.rand(8, 1, 4, 4), torch.rand(8, 1, 4, 4)
    penalty = penalize_gradient(lambda x: 0.75 * x.sum((1, 2, 3)), real, fake, torch.Generator())
    assert float(penalty) == pytest.approx((0.75 * 4 - 1) ** 2, rel=1e-5)
