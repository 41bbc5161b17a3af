from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from training.engine.seeds import generator_for
from training.images.mixing import Mixture, mix

LABELS = torch.arange(6)


def make_images():
    """Each image is of one value, ten times its label."""
    return (10 * LABELS).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 8, 10, 2).contiguous()


def draw(step, **alphas):
    return mix(make_images(), LABELS, generator_for(0, step), **{"mixup_alpha": 0.0, "cutmix_alpha": 0.0} | alphas)


def test_without_mixing_images_and_loss_stay_as_they_are():
    mixture = draw(0)
    assert torch.equal(mixture.images, make_images())
    logits = torch.randn(6, 7)
    assert mixture.cross_entropy(logits, 0.1) == F.cross_entropy(logits, LABELS, label_smoothing=0.1)


def test_mixup_blends_each_image_with_its_partner_by_the_share():
    mixture = draw(3, mixup_alpha=1.0)
    expected = 10 * (mixture.share * mixture.labels + (1 - mixture.share) * mixture.partners)
    torch.testing.assert_close(mixture.images, expected.view(-1, 1, 1, 1).expand(-1, 8, 10, 2))
    assert sorted(mixture.partners.tolist()) == LABELS.tolist()
    assert 0 < mixture.share < 1


def test_cutmix_pastes_one_rectangle_whose_area_is_what_the_share_leaves():
    areas = []
    for step in range(20):
        mixture = draw(step, cutmix_alpha=1.0)
        moved = (mixture.partners != mixture.labels).nonzero().flatten()[0]
        pasted = mixture.images[moved, :, :, 0] == 10 * mixture.partners[moved]
        assert mixture.images.dtype == torch.uint8
        assert torch.equal(mixture.images[moved, ~pasted], make_images()[moved, ~pasted])
        rows, columns = pasted.any(1), pasted.any(0)
        assert torch.equal(pasted, rows[:, None] & columns)
        assert float(pasted.float().mean()) == pytest.approx(1 - mixture.share)
        areas.append(1 - mixture.share)
    assert min(areas) < 0.2 < 0.5 < max(areas)


def test_the_loss_counts_both_labels_by_their_shares():
    logits = torch.randn(6, 7)
    mixture = Mixture(make_images(), LABELS, LABELS.flip(0), 0.3)
    both = 0.3 * F.one_hot(LABELS, 7) + 0.7 * F.one_hot(LABELS.flip(0), 7)
    assert mixture.cross_entropy(logits, 0.0) == pytest.approx(float(F.cross_entropy(logits, both.float())))


def test_a_mixture_depends_on_its_step_alone_and_both_ways_of_mixing_take_turns():
    kinds = [draw(step, mixup_alpha=1.0, cutmix_alpha=1.0).images.dtype for step in range(40)]
    assert 10 < kinds.count(torch.uint8) < 30
    assert torch.equal(draw(5, mixup_alpha=1.0).images, draw(5, mixup_alpha=1.0).images)
    assert not torch.equal(draw(5, mixup_alpha=1.0).images, draw(6, mixup_alpha=1.0).images)
