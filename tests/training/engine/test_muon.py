import pytest
import torch
from torch import nn

from training.engine.muon import Muon, divide_parameters, orthogonalize


@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_orthogonalized_singular_values_are_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix, num_iterations=5))
    assert values.min() > 0.4
    assert values.max() < 1.6


def test_keeps_singular_directions():
    u, _, v = torch.linalg.svd(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))
    matrix = u @ torch.diag(torch.linspace(1, 2, 8)) @ v
    cosine = (orthogonalize(matrix, num_iterations=5) * (u @ v)).sum() / 8
    assert cosine > 0.7


def test_step_descends_and_normalizes_filters():
    filters = nn.Parameter(3 * torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(2)))
    target = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(3))
    target *= 6**0.5 / target.norm()
    optimizer = Muon([filters], lr=0.05)
    distances = []
    for _ in range(40):
        distance = (filters / filters.norm() * 6**0.5 - target).square().sum()
        optimizer.zero_grad()
        distance.backward()
        optimizer.step()
        distances.append(distance.item())
    assert distances[-1] < 0.1 * distances[0]
    assert float(filters.norm().detach()) == pytest.approx(6**0.5, rel=0.1)


def test_muon_has_the_matrices_named_and_adam_everything_else():
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    adam, muon = divide_parameters(network, [network[0].weight], matrix_lr=0.1, lr=0.01, weight_decay=0.5)
    assert isinstance(muon, Muon)
    assert [group["params"] for group in muon.param_groups] == [[network[0].weight]]
    decayed, others = adam.param_groups
    assert decayed["params"] == [network[1].weight]
    assert others["params"] == [network[0].bias, network[1].bias]
    assert (decayed["weight_decay"], others["weight_decay"], muon.param_groups[0]["lr"]) == (0.5, 0.0, 0.1)


def test_without_a_rate_for_matrices_adam_has_them_all():
    network = nn.Linear(3, 4)
    (adam,) = divide_parameters(network, [network.weight], matrix_lr=0.0, lr=0.01, weight_decay=0.5)
    assert adam.param_groups[0]["params"] == [network.weight]
