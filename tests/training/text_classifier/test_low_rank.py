import pytest
import torch
from torch import nn

from training.text_classifier.low_rank import LowRankLinear, add_low_rank, merge_low_rank


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4, bias=False)))


def train_few_steps(network):
    for _ in range(3):
        network.zero_grad()
        (network(torch.randn(5, 6)) - 1).square().mean().backward()
        with torch.no_grad():
            for value in network.parameters():
                if value.requires_grad:
                    value -= 0.1 * value.grad


def test_nothing_has_changed_at_the_start(network):
    rows = torch.randn(5, 6)
    before = network(rows)
    add_low_rank(network, 2, 16.0)
    torch.testing.assert_close(network(rows), before, rtol=0, atol=0)


def test_only_the_low_rank_weights_train(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    add_low_rank(network, 2, 16.0)
    trained = {name: value.numel() for name, value in network.named_parameters() if value.requires_grad}
    assert trained == {"0.down": 12, "0.up": 16, "2.1.down": 16, "2.1.up": 8}
    ups = [layer.up for layer in network.modules() if isinstance(layer, LowRankLinear)]
    train_few_steps(network)
    after = {name.replace(".layer.", "."): value for name, value in network.state_dict().items()}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(up.any() for up in ups)


def test_merged_layers_answer_the_same_and_are_plain(network):
    names = list(network.state_dict())
    add_low_rank(network, 2, 16.0)
    train_few_steps(network)
    rows = torch.randn(5, 6)
    changed = network(rows).detach()
    merge_low_rank(network)
    assert list(network.state_dict()) == names
    assert not any(isinstance(layer, LowRankLinear) for layer in network.modules())
    torch.testing.assert_close(network(rows), changed)


def test_a_network_without_linear_layers_is_refused():
    with pytest.raises(ValueError, match="low-rank changes need linear layers"):
        add_low_rank(nn.Sequential(nn.LayerNorm(3)), 2, 16.0)
