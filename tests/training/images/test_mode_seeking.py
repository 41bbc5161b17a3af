"""How alike images of one condition are."""

from __future__ import annotations

import torch

from training.images.mode_seeking import penalize_likeness


def test_the_same_image_of_other_latents_weighs_most_and_twice_the_difference_half():
    latents, others = torch.zeros(3, 4), torch.ones(3, 4)
    images = torch.zeros(3, 1, 2, 2)
    alike, apart, farther = (float(penalize_likeness(images, images + by, latents, others)) for by in (0.0, 0.25, 0.5))
    assert alike > 1e4
    assert abs(apart - 4) < 1e-3
    assert abs(farther - 2) < 1e-3


def test_images_may_be_as_alike_as_their_latents():
    latents, others = torch.zeros(3, 4), torch.full((3, 4), 0.5)
    images = torch.zeros(3, 1, 2, 2)
    assert abs(float(penalize_likeness(images, images + 0.25, latents, others)) - 2) < 1e-3
