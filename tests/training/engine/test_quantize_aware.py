"""A network trained through its rounded form shares its weights with it."""

from __future__ import annotations

import torch

from training.classifier.compact import CompactNetwork
from training.engine.quantize_aware import RoundedNetwork

IMAGES = torch.randn(6, 1, 20, 20)


def make_network() -> CompactNetwork:
    torch.manual_seed(1)
    return CompactNetwork(channels=1, num_classes=4, widths=(8, 16), depth=2, kernel=2, whiten_epochs=0)


def test_gradients_reach_the_networks_own_weights_and_answers_are_rounded():
    network = make_network()
    rounded = RoundedNetwork(network, IMAGES)
    answers = rounded(IMAGES[:5])
    exact = network.train()(IMAGES[:5])
    assert 0 < (answers - exact).abs().max() < 0.5 * exact.abs().max()
    answers.square().sum().backward()
    assert all(stage.conv1.weight.grad is not None for stage in network.stages)


def test_the_ranges_go_on_from_a_checkpoint():
    first, second, fresh = (RoundedNetwork(make_network(), IMAGES) for _ in range(3))
    for _ in range(3):
        first(IMAGES)
    second.load_state_dict(first.state_dict())
    expected = first(3 * IMAGES)
    torch.testing.assert_close(second(3 * IMAGES), expected, atol=1e-5, rtol=0)
    assert (fresh(3 * IMAGES) - expected).abs().max() > 1e-2
