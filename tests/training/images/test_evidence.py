"""The evidence bound at points where its value is known."""

from __future__ import annotations

import pytest
import torch

from training.images.evidence import draw_codes, evidence_bound, measure_divergence


def test_the_evidence_bound_of_a_perfect_copy_from_the_prior_is_zero():
    images, zeros = torch.rand(2, 1, 3, 3), torch.zeros(2, 5)
    assert float(evidence_bound(images, images, zeros, zeros, 0.3)) == 0
    assert float(evidence_bound(images + 0.3, images, zeros + 1, zeros, 0.3)) == pytest.approx(9 / 2 + 5 / 2, rel=1e-4)


def test_beta_weighs_the_divergence_alone():
    images, zeros = torch.rand(2, 1, 3, 3), torch.zeros(2, 5)
    found = evidence_bound(images + 0.3, images, zeros + 1, zeros, 0.3, beta=4)
    assert float(found) == pytest.approx(9 / 2 + 4 * 5 / 2, rel=1e-4)


def test_divergence_is_that_of_two_normal_distributions():
    mean, log_variance = torch.tensor([[0.0, 1.5]]), torch.tensor([[0.0, -0.8]])
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    wanted = torch.distributions.kl_divergence(own, torch.distributions.Normal(0, 1))
    torch.testing.assert_close(measure_divergence(mean, log_variance), wanted)
    torch.testing.assert_close(draw_codes(mean, log_variance, torch.full((1, 2), 2.0)), own.mean + 2 * own.stddev)
