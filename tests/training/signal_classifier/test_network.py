from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from training.sequences.patch_encoders import NetworkName
from training.signal_classifier.network import build_network
from training.signal_classifier.recipe import DEMO


@pytest.fixture(params=get_args(NetworkName))
def network(request, tiny_recipe):
    torch.manual_seed(0)
    return build_network(replace(tiny_recipe, network=request.param), 250, 5).eval()


@pytest.fixture
def signals():
    return torch.randn(4, 250, generator=torch.Generator().manual_seed(0)).cumsum(1)


@torch.no_grad()
def test_gain_and_offset_change_no_answer(network, signals):
    torch.testing.assert_close(network(1000 * signals - 20), network(signals), rtol=1e-3, atol=1e-3)
    assert torch.isfinite(network(torch.full((1, 250), 7.0))).all()


def test_every_parameter_learns_and_rows_do_not_meet(network, signals):
    together = network(signals)
    assert together.shape == (4, 5)
    torch.testing.assert_close(network(signals[:1]), together[:1], rtol=1e-4, atol=1e-5)
    F.cross_entropy(together, torch.tensor([0, 1, 2, 3])).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@torch.no_grad()
def test_a_convolution_finds_a_beat_wherever_it_is(tiny_recipe):
    """Two patches further on, far from the ends, the same patches are seen."""
    torch.manual_seed(0)
    network = build_network(tiny_recipe, 256, 5).eval()
    signal = torch.zeros(1, 256)
    signal[0, 100:110] = torch.arange(10.0)
    torch.testing.assert_close(network(signal.roll(16, 1)), network(signal), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"snr_db": (20.0, 0.0)}, "snr_db is the lowest and the highest in decibels"),
        ({"snr_db": (20.0,)}, "snr_db is the lowest and the highest in decibels"),
        ({"num_heads": 5}, "must be even and divisible by num_heads=5"),
        ({"patch": 0}, "patch must be positive, got 0"),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **changes)
