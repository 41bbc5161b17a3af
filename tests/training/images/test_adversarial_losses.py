"""Losses at points where their values are known."""

from __future__ import annotations

import math

import pytest
import torch

from training.images.adversarial_losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES

ZERO = torch.zeros(4)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("non-saturating", 2 * math.log(2), math.log(2)),
        ("wasserstein", 0, 0),
        ("hinge", 2, 0),
        ("least-squares", 0.5, 0.5),
    ],
)
def test_scores_of_zero_cost_what_the_papers_say(name, discriminator, generator):
    assert float(DISCRIMINATOR_LOSSES[name](ZERO, ZERO)) == pytest.approx(discriminator)
    assert float(GENERATOR_LOSSES[name](ZERO)) == pytest.approx(generator)


@pytest.mark.parametrize("name", DISCRIMINATOR_LOSSES)
def test_both_players_gain_by_opposite_scores(name):
    low, high = torch.full((4,), 0.2), torch.full((4,), 0.7)
    assert DISCRIMINATOR_LOSSES[name](high, low) < DISCRIMINATOR_LOSSES[name](low, high)
    assert GENERATOR_LOSSES[name](high) < GENERATOR_LOSSES[name](low)


def test_the_hinge_pays_nothing_beyond_its_margin():
    assert float(DISCRIMINATOR_LOSSES["hinge"](torch.tensor([1.0, 9.0]), torch.tensor([-1.0, -5.0]))) == 0
