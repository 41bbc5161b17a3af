from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from training.classifier.compact import CompactNetwork
from training.classifier.network import NETWORKS, build_network
from training.classifier.program import Program, predict_logits
from training.classifier.recipe import FULL, NORMALIZED
from training.classifier.resnet import ResNet18
from training.classifier.transfer import PRETRAINED
from training.engine.optimization import Updater
from training.engine.schedules import make_schedule
from training.images.normalization import Normalization
from training.release.capture import capture
from training.release.spec import ProgramSpec

SMALL = replace(FULL, widths=(8, 12, 16))


def make_images(count=6, size=28, channels=1):
    return torch.randint(0, 256, (count, size, size, channels), dtype=torch.uint8)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in PRETRAINED])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_network_turns_images_into_logits(name, channels):
    recipe = replace(SMALL, network=name, teacher="runs/teacher")  # deit has one
    network = build_network(recipe, (28, 28, channels), 7).eval()
    assert network(torch.randn(2, channels, 28, 28)).shape == (2, 7)


@pytest.mark.parametrize(("attention", "extra"), [("none", 0), ("se", 87_808), ("cbam", 89_176)])
def test_attention_adds_its_parameters(attention, extra):
    network = ResNet18(channels=3, num_classes=10, resolution=32, attention=attention)
    plain = 11_173_962  # ResNet-18 with a 3×3 stem and ten classes
    assert abs(sum(parameter.numel() for parameter in network.parameters()) - plain - extra) < 2_000
    assert network.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", NORMALIZED)
def test_feature_maps_are_normalized_as_the_recipe_says(name):
    def count(normalization, layer):
        recipe = replace(SMALL, network=name, normalization=normalization)
        return sum(isinstance(module, layer) for module in build_network(recipe, (28, 28, 1), 10).modules())

    assert count("batch", nn.BatchNorm2d) == count("group", nn.GroupNorm) > 0
    assert count("group", nn.BatchNorm2d) == count("batch", nn.GroupNorm) == 0


def test_a_network_with_a_normalization_of_its_own_takes_no_other():
    with pytest.raises(ValueError, match="compact has its own: leave it at batch"):
        replace(SMALL, normalization="layer")
    with pytest.raises(ValueError, match="cannot be pruned one by one"):
        replace(SMALL, network="vgg11", normalization="layer", pruned_fraction=0.5, start_from="runs/vgg")


def test_no_module_runs_twice_in_one_pass():
    """The static quantizer cannot tell two calls of one module apart."""
    for name in ("compact", "resnet18", "vgg11", "depthwise"):
        for attention in ("none", "se", "cbam"):
            network = build_network(replace(SMALL, network=name, attention=attention), (28, 28, 1), 10).eval()
            calls: dict[nn.Module, int] = {}
            for module in network.modules():
                if not list(module.children()):
                    module.register_forward_hook(lambda m, *_, calls=calls: calls.update({m: calls.get(m, 0) + 1}))
            network(torch.randn(2, 1, 28, 28))
            assert set(calls.values()) == {1}, name


def test_unknown_network_lists_the_known():
    with pytest.raises(ValueError, match="unknown network 'alexnet'; use one of compact, resnet18"):
        build_network(replace(SMALL, network="alexnet"), (28, 28, 1), 10)


def test_first_layer_whitens_patches():
    network = CompactNetwork(channels=3, num_classes=10, widths=(8, 8, 8), depth=2, kernel=2, whiten_epochs=1)
    smooth = nn.functional.avg_pool2d(torch.randn(400, 3, 33, 33, generator=torch.Generator().manual_seed(0)), 2, 1)
    network.initialize_from(smooth * 5)
    responses = nn.functional.conv2d(smooth * 5, network.whiten.weight)
    assert torch.allclose(responses[:, :12], -responses[:, 12:], atol=1e-4)
    covariance = torch.cov(responses[:, :12].transpose(0, 1).flatten(1))
    assert torch.allclose(covariance, torch.eye(12), atol=0.05)


@pytest.mark.parametrize("depth", [2, 3])
def test_folded_network_computes_the_same(depth):
    torch.manual_seed(0)
    network = build_network(replace(SMALL, depth=depth), (28, 28, 1), 10)
    images = torch.randn(64, 1, 28, 28)
    for _ in range(3):
        network.train()(images)
    with torch.no_grad():
        for stage in network.stages:
            stage.norm1.bias += torch.randn_like(stage.norm1.bias)
    folded = network.folded()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network.eval()(images), rtol=1e-4, atol=1e-5)


def test_whitening_bias_is_held_after_its_epochs():
    network = build_network(replace(SMALL, whiten_epochs=2), (28, 28, 1), 10)
    network.prepare_epoch(1)
    assert network.whiten_bias.requires_grad
    network.prepare_epoch(2)
    assert not network.whiten_bias.requires_grad
    assert not network.whiten.weight.requires_grad


def test_normalization_gives_mean_zero_and_variance_one():
    images = make_images(40, 16, 3) // torch.tensor([1, 2, 4], dtype=torch.uint8)
    x = Normalization.of(images)(images)
    assert x.shape == (40, 3, 16, 16)
    assert torch.allclose(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(x.std((0, 2, 3)), torch.ones(3), atol=1e-3)


def test_constant_images_do_not_divide_by_zero():
    images = torch.full((4, 8, 8, 1), 7, dtype=torch.uint8)
    assert torch.equal(Normalization.of(images)(images), torch.zeros(4, 1, 8, 8))


def test_program_gives_calibrated_probabilities():
    images = make_images()
    network = build_network(SMALL, (28, 28, 1), 10)
    normalization = Normalization.of(images)
    plain = Program(normalization, network, test_flip=False)
    with torch.no_grad():
        expected = (predict_logits(plain, images, torch.device("cpu"), batch_size=4) / 0.5).softmax(1)
        probabilities = Program(normalization, network, test_flip=False, temperature=0.5)(images)
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities, expected)


def test_test_flip_makes_the_program_blind_to_mirroring():
    images = make_images()
    program = Program(Normalization.of(images), build_network(SMALL, (28, 28, 1), 10), test_flip=True)
    with torch.no_grad():
        torch.testing.assert_close(program(images), program(images.flip(2)))


def test_a_program_that_looks_at_mirror_images_is_captured_for_any_number_of_images():
    images = make_images(4, size=8)
    program = Program(Normalization.of(images), nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), test_flip=True)
    rows = ({0: torch.export.Dim("rows", min=1, max=16)},)
    captured = capture(ProgramSpec(module=program, example_inputs=(images,), dynamic_shapes=rows), torch.device("cpu"))
    others = make_images(7, size=8)
    torch.testing.assert_close(captured.module()(others), program(others))


def test_narrow_networks_learn_in_large_steps():
    """At the rates published for 256 channels, 8 channels fell within two steps to the same answer for every image."""
    torch.manual_seed(0)
    shapes = torch.randn(10, 1, 20, 20)
    network = CompactNetwork(channels=1, num_classes=10, widths=(8, 8), depth=2, kernel=2, whiten_epochs=1)
    network.initialize_from(shapes)
    optimizers = network.make_optimizers(filter_lr=0.1, batch_size=500, weight_decay=1e-3)
    updater = Updater(optimizers, make_schedule("constant", num_steps=12, warmup_fraction=0))
    for step in range(12):
        labels = torch.randint(0, 10, (500,))
        loss = nn.functional.cross_entropy(network(shapes[labels] + torch.randn(500, 1, 20, 20)), labels)
        updater.update(loss, step)
    assert loss < 2.0  # log 10 is 2.30
