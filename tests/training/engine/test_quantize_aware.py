"""A network trained through its rounded form shares its weights with it."""

from __future__ import annotations

import pytest
import torch

from training.classifier.compact import CompactNetwork
from training.engine.quantize_aware import RoundedNetwork

IMAGES = torch.randn(6, 1, 20, 20, generator=torch.Generator().manual_seed(1))


def make_network() -> CompactNetwork:
    torch.manual_seed(1)
    return CompactNetwork(channels=1, num_classes=4, widths=(8,), depth=2, kernel=2, whiten_epochs=0)


@pytest.fixture(scope="module")
def pair():
    """Two equal networks, each with its rounded form: finding what to round takes seconds."""
    return [(network, RoundedNetwork(network, IMAGES)) for network in (make_network(), make_network())]


def test_gradients_reach_the_networks_own_weights_and_answers_are_rounded(pair):
    network, rounded = pair[0]
    answers = rounded(IMAGES[:5])
    exact = network.train()(IMAGES[:5])
    assert 0 < (answers - exact).abs().max() < 0.5 * exact.abs().max()
    answers.square().sum().backward()
    assert all(stage.conv1.weight.grad is not None for stage in network.stages)


def test_the_ranges_go_on_from_a_checkpoint(pair):
    (_, first), (_, second) = pair
    for _ in range(3):
        first(IMAGES)
    ranges = {name: value.clone() for name, value in first.state_dict().items()}
    expected = first(3 * IMAGES)
    assert (second(3 * IMAGES) - expected).abs().max() > 0.5
    second.load_state_dict(ranges)
    # Sums in another order differ in their last bit, and a value between two levels may then be rounded to the other.
    torch.testing.assert_close(second(3 * IMAGES), expected, atol=0.05, rtol=0)
