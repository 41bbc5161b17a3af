"""Two ways of holding less in memory change neither gradients nor what is saved."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training.engine.averaging import WeightAverage
from training.engine.optimization import Updater, split_rows
from training.engine.recomputation import recompute_activations
from training.sequences.encoder import EncoderLayer

INPUTS = torch.randn(6, 5, 16, generator=torch.Generator().manual_seed(1))
BIAS = torch.zeros(())


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.ModuleList(EncoderLayer(16, 2, 64, 0.25, pre_norm=True) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x, BIAS)
        return x


def step(network, losses):
    updater = Updater([torch.optim.SGD(network.parameters(), lr=0.1)], lambda step: 1.0)
    loss = updater.accumulate(losses, 0)
    return loss, [parameter.grad for parameter in network.parameters()]


def hold_bytes(network):
    """Bytes of activations that a forward pass keeps, and its gradients."""
    held = []

    def keep(tensor):
        held.append(tensor.numel() * tensor.element_size())
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = network(INPUTS).square().mean()
        num_bytes = sum(held)
        loss.backward()
    return num_bytes, [parameter.grad for parameter in network.parameters()]


def test_recomputed_layers_hold_less_and_have_the_same_gradients():
    plain, recomputed = Stack().train(), Stack().train()
    recompute_activations(recomputed.layers)
    all_bytes, expected = hold_bytes(plain)
    few_bytes, gradients = hold_bytes(recomputed)
    assert few_bytes < 0.2 * all_bytes
    torch.testing.assert_close(gradients, expected)


def test_a_recomputed_network_is_saved_averaged_and_evaluated_as_before():
    network = Stack()
    recompute_activations(network.layers)
    plain = Stack()
    plain.load_state_dict(network.state_dict())
    average = WeightAverage(network, 0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    average.update(network)
    moved = average.network(INPUTS)
    assert not torch.equal(moved, plain.eval()(INPUTS))
    plain.load_state_dict(average.network.state_dict())
    torch.testing.assert_close(moved, plain(INPUTS))


@pytest.mark.parametrize("num_parts", [1, 2, 4, 100])
def test_a_loss_in_parts_moves_weights_as_the_whole_does(num_parts):
    network = Stack().eval()
    whole = copy.deepcopy(network)
    live = []

    def measure(rows):
        live.append(rows)
        return network(INPUTS[rows]).square().sum() / INPUTS.numel()

    loss, gradients = step(network, (measure(rows) for rows in split_rows(slice(0, 6), num_parts)))
    expected_loss, expected = step(whole, [whole(INPUTS).square().mean()])
    assert len(live) == min(num_parts, 6)
    torch.testing.assert_close((loss, gradients), (expected_loss, expected))
    torch.testing.assert_close(list(network.parameters()), list(whole.parameters()))


def test_parts_are_as_equal_as_can_be():
    assert split_rows(slice(3, 10), 3) == [slice(3, 5), slice(5, 7), slice(7, 10)]
    assert split_rows(slice(2, 4), 9) == [slice(2, 3), slice(3, 4)]
    assert split_rows(slice(4, 4), 2) == [slice(4, 4)]
