import pytest
import torch
from torch import nn

from training.engine.averaging import WeightAverage


def test_follows_weights_and_copies_counters():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(network, 0.5)
    start = network[0].weight.detach().clone()
    with torch.no_grad():
        network[0].weight += 1
        network[1].num_batches_tracked += 3
    average.update(network)
    decay = 2 / 11  # the ramp, after one update
    torch.testing.assert_close(average.network[0].weight, start + 1 - decay)
    assert average.network[1].num_batches_tracked == 3


def test_reaches_the_asked_for_decay():
    network = nn.Linear(1, 1)
    average = WeightAverage(network, 0.5)
    average.num_updates = 1000
    before = network.weight.detach().clone()
    with torch.no_grad():
        network.weight += 2
    average.update(network)
    torch.testing.assert_close(average.network.weight, before + 1)


def test_rejects_decay_of_one():
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), got 1.0"):
        WeightAverage(nn.Linear(1, 1), 1.0)
