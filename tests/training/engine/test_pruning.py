"""Channels that are worth least go, and the smaller network's weights load into a fresh one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training.classifier.compact import CompactNetwork
from training.classifier.resnet import ResNet18
from training.classifier.vgg import Vgg
from training.engine.pruning import fit_channels, prune_channels

IMAGES, LABELS = torch.randn(8, 1, 32, 32), torch.arange(8)
NETWORKS = {
    "compact": lambda: CompactNetwork(channels=1, num_classes=10, widths=(16, 32), depth=3, kernel=2, whiten_epochs=0),
    "resnet": lambda: ResNet18(channels=1, num_classes=10, resolution=32, widths=(16, 16, 32), attention="se"),
    "vgg": lambda: Vgg(layers=11, channels=1, num_classes=10, dropout=0.0),
    "depthwise": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.Conv2d(32, 32, 3, groups=32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_network_is_smaller_and_its_weights_load_into_a_fresh_one(name):
    network = NETWORKS[name]()
    size = sum(weight.numel() for weight in network.parameters())
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    prune_channels(network, 0.5, IMAGES[:2], F.cross_entropy(network(IMAGES), LABELS), keep=[last])
    assert sum(weight.numel() for weight in network.parameters()) < 0.6 * size
    answers = network.eval()(IMAGES)
    assert answers.shape == (8, 10)

    fresh = NETWORKS[name]()
    fit_channels(fresh, network.state_dict())
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh.eval()(IMAGES), answers)
    assert str(fresh) == str(network)  # the sizes that layers say they have are true


def test_channels_that_change_nothing_go_first():
    network = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    useless = [1, 2, 5, 7, 8, 11, 13, 15]
    with torch.no_grad():
        network[4].weight[:, useless] = 0
    useful = network[0].weight[[row for row in range(16) if row not in useless]].clone()
    prune_channels(network, 0.5, IMAGES[:2], F.cross_entropy(network(IMAGES), LABELS), keep=[network[4]])
    assert torch.equal(network[0].weight, useful)
