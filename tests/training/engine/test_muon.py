import pytest
import torch
from torch import nn

from training.engine.muon import Muon, orthogonalize


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
