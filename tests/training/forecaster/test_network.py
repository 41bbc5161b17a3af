from dataclasses import replace
from typing import get_args

import pytest
import torch

from training.forecaster.network import build_network
from training.forecaster.objective import pinball_loss
from training.forecaster.recipe import DEMO, quantile_name
from training.sequences.patch_encoders import NetworkName


@pytest.fixture(params=get_args(NetworkName))
def network(request, tiny_recipe):
    torch.manual_seed(0)
    return build_network(replace(tiny_recipe, network=request.param)).eval()


@pytest.fixture
def histories(generator):
    return torch.randn(5, 24, generator=generator).cumsum(1)


@torch.no_grad()
def test_quantiles_never_cross(network, histories):
    quantiles = network(histories)
    assert quantiles.shape == (5, 6, 5)
    assert (quantiles.diff(dim=-1) > 0).all()


@torch.no_grad()
@pytest.mark.parametrize(("scale", "level"), [(1e-20, 0.0), (1e12, 3e12), (1.0, -50.0)])
def test_forecasts_follow_the_histories_scale_and_level(network, histories, scale, level):
    moved = network(histories * scale + level)
    torch.testing.assert_close((moved - level) / scale, network(histories), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_constant_history_goes_on_as_it_was(network):
    for value in (0.0, 7.0, 1e6):
        quantiles = network(torch.full((1, 24), value))
        assert torch.isfinite(quantiles).all()
        torch.testing.assert_close(quantiles, torch.full_like(quantiles, value), rtol=1e-4, atol=1e-4)


def test_every_parameter_learns_and_rows_do_not_meet(network, histories):
    alone = network(histories[:1])
    together = network(histories)
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
    scale = torch.ones(5, 1)
    pinball_loss(together, histories[:, :6] + 3, scale, torch.tensor(DEMO.levels)).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_the_loss_of_a_wild_window_is_bounded():
    quantiles, future = torch.zeros(2, 3, 5), torch.tensor([[1e9] * 3, [0.0] * 3])
    assert float(pinball_loss(quantiles, future, torch.ones(2, 1), torch.tensor(DEMO.levels))) == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": (0.1, 0.9)}, "odd number of rising levels, symmetric around 0.5"),
        ({"levels": (0.1, 0.5, 0.8)}, "symmetric around 0.5"),
        ({"levels": (0.499, 0.5, 0.501)}, "rise by 0.01 at least"),
        ({"patch": 5}, "context=96 must be a multiple of patch=5"),
        ({"period": 60}, "comes twice in the context, got 60 steps"),
        ({"periods": (1, 4)}, "a season has 2 steps or more"),
        ({"num_heads": 5}, "width=64 must be even and divisible by num_heads=5"),
        ({"horizon": 0}, "horizon must be positive, got 0"),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **changes)


def test_levels_name_their_outputs():
    assert [quantile_name(level) for level in (0.05, 0.1, 0.975)] == ["q05", "q10", "q98"]
