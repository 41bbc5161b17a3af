from __future__ import annotations

import torch
from torch import nn

from training.classifier.program import Program
from training.classifier.resnet import ResNet18
from training.classifier.visualization import maximize_logits, measure_gradient_flow, record_feature_maps
from training.images.normalization import Normalization


def test_feature_maps_are_what_each_filter_answers():
    network = ResNet18(channels=1, num_classes=3, resolution=12, widths=(4, 6), blocks_per_stage=1).eval()
    image = torch.randn(1, 1, 12, 12)
    maps = record_feature_maps(network, image)
    assert {name: tuple(answers.shape) for name, answers in maps.items()} == {
        "stem.0": (4, 12, 12),
        "blocks.0.conv1": (4, 12, 12),
        "blocks.0.conv2": (4, 12, 12),
        "blocks.1.conv1": (6, 6, 6),
        "blocks.1.conv2": (6, 6, 6),
    }
    torch.testing.assert_close(maps["stem.0"], network.stem[0](image)[0].detach())
    assert not network.stem[0]._forward_hooks


def test_the_image_that_a_class_likes_best_shows_what_it_is_weighed_by():
    """Of a linear network whose classes look at one quadrant each, that quadrant is bright."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 4, bias=False))
    quadrants = torch.zeros(4, 12, 12)
    for index in range(4):
        top, left = 6 * (index // 2), 6 * (index % 2)
        quadrants[index, top : top + 6, left : left + 6] = 1
    network[1].weight.data = quadrants.flatten(1)
    program = Program(Normalization(torch.tensor([128.0]), torch.tensor([64.0])), network, test_flip=False)
    images = maximize_logits(program.requires_grad_(False), (12, 12, 1), 4, num_steps=40)[..., 0].float()
    assert images.shape == (4, 12, 12)
    inside = torch.einsum("khw,qhw->kq", images, quadrants) / 36
    assert (inside.diagonal() > 200).all()
    assert (inside - inside.diag().diag()).max() < 120  # darker than the grey of the beginning


def test_deep_plain_networks_have_gradients_of_very_different_size_and_shortcuts_even_them_out():
    images, labels = torch.randn(8, 1, 12, 12, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    ratios = {}
    for shortcuts in (True, False):
        sizes = measure_gradient_flow(images, labels, blocks_per_stage=6, shortcuts=shortcuts)
        assert len(sizes) == 1 + 3 * 6 * 2
        ratios[shortcuts] = max(sizes) / min(sizes)
    assert ratios[False] > 5 * ratios[True]
