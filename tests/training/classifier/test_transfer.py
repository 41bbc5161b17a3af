from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torchvision import models

from training.classifier.network import build_network
from training.classifier.recipe import FULL, Recipe
from training.classifier.session import make_parameter_groups
from training.classifier.transfer import PretrainedNetwork


def make(name="mobilenet_v3_small", channels=3, frozen_epochs=2):
    return PretrainedNetwork(name, channels=channels, num_classes=5, frozen_epochs=frozen_epochs)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "resnet18_pretrained"])
def test_takes_small_grey_and_colour_images(name, channels):
    network = build_network(replace(FULL, network=name), (28, 28, channels), 5).eval()
    assert network(torch.randn(2, channels, 28, 28)).shape == (2, 5)


def test_loads_a_local_file_but_keeps_its_own_head(tmp_path):
    source = models.mobilenet_v3_small(weights=None)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    network = make()
    head = network.head.weight.detach().clone()
    network.load_weights(tmp_path / "weights.pth")
    assert torch.equal(network.backbone.features[0][0].weight, source.features[0][0].weight)
    assert torch.equal(network.backbone.classifier[0].weight, source.classifier[0].weight)
    assert torch.equal(network.head.weight, head)


def test_refuses_weights_of_another_network(tmp_path):
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"does not fit: \d+ of \d+ tensors are missing"):
        make().load_weights(tmp_path / "weights.pth")
    with pytest.raises(FileNotFoundError, match="give a torchvision state dict"):
        make().load_weights(tmp_path / "nothing.pth")


def test_frozen_features_neither_learn_nor_drift():
    network = make()
    network.prepare_epoch(0)
    network.train()
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {
        "backbone.classifier.3.weight",
        "backbone.classifier.3.bias",
    }
    mean = network.backbone.features[0][1].running_mean.clone()
    network(torch.randn(4, 3, 64, 64))
    assert torch.equal(network.backbone.features[0][1].running_mean, mean)


def test_unfrozen_after_its_epochs():
    network = make()
    network.prepare_epoch(2)
    network.train()
    assert all(parameter.requires_grad for parameter in network.parameters())
    mean = network.backbone.features[0][1].running_mean.clone()
    network(torch.randn(4, 3, 64, 64))
    assert not torch.equal(network.backbone.features[0][1].running_mean, mean)


def test_rates_fall_towards_the_input_and_cover_everything():
    network = make("resnet18_pretrained")
    groups = make_parameter_groups(network, replace(FULL, lr=0.1, layer_decay=0.5))
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert len(rate) == len(list(network.parameters()))
    assert rate[id(network.backbone.fc.weight)] == pytest.approx(0.1)
    assert rate[id(network.backbone.layer4[0].conv1.weight)] == pytest.approx(0.05)
    assert rate[id(network.backbone.layer1[0].conv1.weight)] == pytest.approx(0.1 * 0.5**4)


def test_weights_file_needs_a_network_that_takes_one():
    with pytest.raises(ValueError, match="weights_file goes with network mobilenet_v3_small"):
        Recipe(network="compact", weights_file="weights.pth")
