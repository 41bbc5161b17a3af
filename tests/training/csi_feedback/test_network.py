from dataclasses import replace

import pytest
import torch

from training.csi_feedback.baselines import keep_strongest, project
from training.csi_feedback.data import load_data
from training.csi_feedback.network import CsiCodec, build_network
from training.csi_feedback.objective import squared_error
from training.csi_feedback.quantizer import CodeQuantizer
from training.csi_feedback.recipe import DEMO


@pytest.fixture(scope="module")
def data(tiny_recipe, tmp_path_factory):
    return load_data("indoor", tmp_path_factory.getbasetemp(), tiny_recipe)


@pytest.fixture(params=["sparse", "transformer", "csinet"])
def codec(request, tiny_recipe, data):
    torch.manual_seed(0)
    code_bits = 0 if request.param == "sparse" else 4
    return build_network(replace(tiny_recipe, network=request.param, code_bits=code_bits), data)


@torch.no_grad()
def test_a_transformer_begins_as_principal_components(tiny_recipe, data):
    codec = build_network(replace(tiny_recipe, network="transformer"), data).eval()
    torch.testing.assert_close(codec(data.test), project(data.test, data.components), atol=1e-5, rtol=1e-4)
    random = build_network(replace(tiny_recipe, network="transformer", start="random"), data).eval()
    assert squared_error(random(data.test), data.test) > 2 * squared_error(codec(data.test), data.test)


@torch.no_grad()
def test_placed_entries_begin_as_each_channels_strongest_and_bad_places_do_no_harm(tiny_recipe, data):
    codec = build_network(tiny_recipe, data).eval()
    code = codec.encoder(data.test)
    assert code.shape == (40, 16)
    assert not code[:, 15].any()  # five entries of three values
    torch.testing.assert_close(codec.decoder(code), keep_strongest(data.test, 16))
    code[:, 10:15] = torch.tensor([-3.0, 1e30, 4.4, 63.0, 0.0])
    restored = codec.decoder(code).flatten(1, 2)
    assert torch.isfinite(restored).all()
    assert (restored.abs().sum(2) > 0).sum(1).max() <= 3


@torch.no_grad()
def test_channels_come_back_in_their_shape_and_rows_do_not_meet(codec, data):
    codec.eval()
    together = codec(data.test[:6])
    assert together.shape == (6, 8, 8, 2)
    torch.testing.assert_close(codec(data.test[2:3]), together[2:3], atol=1e-4, rtol=1e-3)


def test_every_parameter_learns(codec, data):
    optimizer = torch.optim.SGD(codec.parameters(), lr=1e-2)
    for _ in range(2):  # a Transformer that adds nothing yet hides its layers from the first step
        optimizer.zero_grad()
        squared_error(codec.train()(data.validation), data.validation).backward()
        optimizer.step()
    assert [name for name, value in codec.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_the_loss_is_the_share_of_the_power_that_is_lost(data):
    assert float(squared_error(torch.zeros_like(data.test), data.test)) == pytest.approx(1, rel=1e-4)
    assert float(squared_error(0.9 * data.test, data.test)) == pytest.approx(0.01, rel=1e-3)


def test_rounded_values_lie_on_levels_within_half_a_step(generator):
    quantizer = CodeQuantizer(3, 4)
    code = torch.randn(500, 3, generator=generator) * torch.tensor([0.1, 1.0, 30.0])
    quantizer.fit_range(code)
    largest = quantizer.log_range.exp()
    torch.testing.assert_close(largest, 3 * torch.tensor([0.1, 1.0, 30.0]), rtol=0.15, atol=0)
    levels = quantizer.to_levels(code)
    assert levels.dtype == torch.uint8
    assert (int(levels.min()), int(levels.max())) == (0, 15)
    restored = quantizer.from_levels(levels)
    torch.testing.assert_close(restored, quantizer(code))
    inside = code.abs() <= largest
    assert ((restored - code).abs() <= largest / 15 * 1.001)[inside].all()
    torch.testing.assert_close(quantizer.from_levels(torch.full((1, 3), 255, dtype=torch.uint8)), largest[None])


@torch.no_grad()
def test_the_range_goes_by_the_bits_where_large_values_are_rare(generator):
    code = torch.randn(2000, 1, generator=generator) ** 3
    deviation = float(code.square().mean().sqrt())
    clipped = float((code.clamp(-3 * deviation, 3 * deviation) - code).square().mean())
    ranges, lost = [], []
    for num_bits in (2, 8):
        quantizer = CodeQuantizer(1, num_bits)
        quantizer.fit_range(code)
        ranges.append(float(quantizer.log_range.exp()) / deviation)
        lost.append(float((quantizer(code) - code).square().mean()))
    assert ranges[0] < 3 < ranges[1]
    assert lost[1] < clipped / 5


def test_rounding_lets_gradients_through_inside_the_range_only():
    quantizer = CodeQuantizer(2, 2)
    code = torch.tensor([[0.3, 5.0]], requires_grad=True)
    quantizer(code).sum().backward()
    torch.testing.assert_close(code.grad, torch.tensor([[1.0, 0.0]]))
    assert quantizer.log_range.grad[1] != 0


@torch.no_grad()
def test_more_bits_lose_less(tiny_recipe, data):
    lost = []
    for bits in (2, 4, 8, 0):
        codec: CsiCodec = build_network(replace(tiny_recipe, network="transformer", code_bits=bits), data).eval()
        lost.append(float(squared_error(codec(data.test), data.test)))
    assert lost == sorted(lost, reverse=True)
    assert lost[2] == pytest.approx(lost[3], rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compression": 3}, "compression=3 must divide the 1024 complex entries"),
        ({"code_bits": 4}, "network=sparse sends places, which cannot be rounded"),
        ({"code_bits": 9}, "code_bits=9: a value of a codeword is served in 8 bits at most"),
        ({"num_heads": 5}, "width=64 must be even and divisible by num_heads=5"),
        ({"steps": 0}, "steps must be positive, got 0"),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **changes)
