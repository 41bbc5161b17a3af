from dataclasses import replace

import pytest
import torch

from training.segmenter.network import UNet, build_network
from training.segmenter.objective import TaskWeights, dice_loss, mask_loss
from training.segmenter.recipe import DEMO
from training.segmenter.scenes import VOID


def build(recipe):
    torch.manual_seed(0)
    return UNet(recipe, num_channels=3, num_classes=6).eval()


def test_each_task_has_its_answer(tiny_recipe):
    images = torch.zeros(2, 16, 16, 3, dtype=torch.uint8)
    answer = build_network(tiny_recipe, images, 6)(images)
    assert answer.mask.shape == (2, 6, 16, 16)
    assert answer.label.shape == (2, 6)
    mask_alone = build_network(replace(tiny_recipe, tasks="mask"), images, 6)(images)
    label_alone = build_network(replace(tiny_recipe, tasks="label"), images, 6)(images)
    assert mask_alone.label is None
    assert label_alone.mask is None


@torch.no_grad()
def test_skips_hand_fine_detail_across_that_the_lowest_level_has_lost(tiny_recipe):
    x = torch.zeros(1, 3, 16, 16)
    for skips in (True, False):
        network = build(replace(tiny_recipe, skips=skips))
        for narrow in network.narrow:  # nothing comes up from below
            narrow.weight.zero_()
        changed = network(x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).mask
        assert torch.equal(changed, network(x).mask) is not skips


def test_a_recipe_refuses_a_resolution_that_cannot_be_halved():
    with pytest.raises(ValueError, match="resolution=20 is halved depth=3 times: take a multiple of 8"):
        replace(DEMO, resolution=20)


def test_dice_loss_is_0_for_a_sure_right_mask_and_1_for_a_sure_wrong_one():
    masks = torch.tensor([[[0, 1], [1, 2]]])
    right = 50 * torch.nn.functional.one_hot(masks, 4).movedim(-1, 1).float()
    assert float(dice_loss(right, masks)) == pytest.approx(0, abs=1e-6)
    assert float(dice_loss(right.roll(1, 1), masks)) == pytest.approx(1, abs=1e-6)


def test_void_pixels_are_not_learned():
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask_loss(logits, torch.tensor([[[0, 1], [2, VOID]]]), 1.0).backward()
    assert logits.grad is not None
    assert not logits.grad[..., 1, 1].any()
    assert logits.grad[..., 0, 0].any()
    assert float(mask_loss(logits, torch.full((1, 2, 2), VOID), 1.0).detach()) == 0


def test_uncertainty_weighs_each_loss_by_its_learned_variance(tiny_recipe):
    weights = TaskWeights(tiny_recipe)
    losses = {"mask": torch.tensor(2.0), "label": torch.tensor(0.5)}
    assert float(weights(losses)) == 2.5
    weights(losses).backward()
    gradients = {task: float(s.grad) for task, s in weights.log_variances.items()}
    assert gradients == {"mask": 0.5 - 2.0, "label": 0.5 - 0.5}
    with torch.no_grad():
        weights.log_variances["mask"].fill_(torch.log(torch.tensor(2.0)))
    assert float(weights(losses)) == pytest.approx(2.0 / 2 + 0.5 + 0.5 * 0.6931, abs=1e-4)


def test_fixed_weights_are_those_of_the_recipe_and_a_single_task_has_none(tiny_recipe):
    losses = {"mask": torch.tensor(2.0), "label": torch.tensor(0.5)}
    fixed = TaskWeights(replace(tiny_recipe, weighting="fixed", label_weight=4.0))
    assert float(fixed(losses)) == 4.0
    assert list(fixed.parameters()) == []
    alone = TaskWeights(replace(tiny_recipe, tasks="label", label_weight=4.0))
    assert float(alone({"label": torch.tensor(0.5)})) == 0.5
    assert list(alone.parameters()) == []
