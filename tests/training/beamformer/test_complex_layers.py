import pytest
import torch

from training.beamformer.channel import ChannelModel, sample_channels
from training.beamformer.complex_layers import (
    ComplexAvgPool2d,
    ComplexBatchNorm2d,
    ComplexConv2d,
    ComplexDropout,
    ComplexLinear,
    ComplexMaxPool2d,
    CReLU,
    ModReLU,
    ZReLU,
    make_complex_normalization,
)
from training.beamformer.metrics import measure_optimum, measure_spectral_efficiency
from training.beamformer.thesis import ComplexNetwork, ResidualEncoder, make_activation


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def signal(*shape):
    return torch.randn(shape, dtype=torch.complex64)


@pytest.mark.parametrize("name", ["batch", "layer", "group", "instance"])
def test_parts_are_normalized_as_channels_of_their_own_unless_they_are_whitened_together(name):
    inputs = signal(6, 4, 5, 5)
    inputs = torch.complex(inputs.real, inputs.real + 0.1 * inputs.imag)  # parts that go together
    correlation = {}
    for each in (name, "complex"):
        found = make_complex_normalization(each, 4)(inputs)
        assert (found.shape, found.dtype) == (inputs.shape, inputs.dtype)
        assert float(found.abs().square().mean()) == pytest.approx(1 if each == "complex" else 2, rel=0.01)
        correlation[each] = float((found.real * found.imag).mean() / found.abs().square().mean() * 2)
    assert correlation[name] > 0.9
    assert abs(correlation["complex"]) < 0.01


def test_convolution_is_torchs_own_complex_convolution():
    layer, inputs = ComplexConv2d(3, 4, 3, stride=2, padding=1), signal(2, 3, 7, 6)
    weight = torch.complex(layer.real, layer.imaginary)
    expected = torch.nn.functional.conv2d(inputs, weight, stride=2, padding=1)
    torch.testing.assert_close(layer(inputs), expected, rtol=1e-4, atol=1e-5)


def test_convolution_keeps_the_order_of_magnitude():
    outputs = ComplexConv2d(8, 64, 3)(signal(4, 8, 12, 12))
    assert outputs.detach().abs().square().mean().item() == pytest.approx(2, rel=0.2)


def test_linear_layer_is_the_complex_matrix_product():
    layer, inputs = ComplexLinear(5, 3), signal(4, 5)
    torch.testing.assert_close(layer(inputs), inputs @ layer.weight.T)


def test_batch_norm_whitens_both_parts_and_remembers_how():
    layer = ComplexBatchNorm2d(2, momentum=1.0)
    inputs = torch.complex(3 + 2 * torch.randn(16, 2, 5, 5), 0.5 * torch.randn(16, 2, 5, 5))
    inputs = inputs + 1j * inputs.real
    outputs = layer(inputs)
    for channel in range(2):
        parts = torch.view_as_real(outputs[:, channel]).flatten(0, 2)
        torch.testing.assert_close(parts.mean(0), torch.zeros(2), rtol=0, atol=1e-4)
        torch.testing.assert_close(torch.cov(parts.T), torch.eye(2) / 2, rtol=0.02, atol=0.01)
    torch.testing.assert_close(layer.eval()(inputs), outputs, rtol=1e-3, atol=1e-3)


def test_activations_do_what_their_papers_say():
    inputs = torch.tensor([1 + 1j, -1 + 2j, 2 - 1j, -1 - 1j]).view(1, 1, 2, 2)
    assert CReLU()(inputs).flatten().tolist() == [1 + 1j, 2j, 2 + 0j, 0j]
    assert ZReLU()(inputs).flatten().tolist() == [1 + 1j, 0j, 0j, 0j]
    layer = ModReLU(1)
    torch.nn.init.constant_(layer.bias, -2.0)
    outputs = layer(inputs).detach().flatten()
    expected = (5**0.5 - 2) / 5**0.5 * (-1 + 2j)
    assert outputs[0] == 0
    assert complex(outputs[1]) == pytest.approx(expected, abs=1e-6)


def test_max_pooling_keeps_whole_values_and_average_pooling_averages_them():
    inputs = torch.tensor([1 + 1j, -3 + 0j, 2j, 1 + 0j]).view(1, 1, 2, 2)
    assert ComplexMaxPool2d(2)(inputs).item() == -3
    assert ComplexAvgPool2d(2)(inputs).item() == pytest.approx(-0.25 + 0.75j)


def test_dropout_drops_whole_values_in_training_alone():
    layer, inputs = ComplexDropout(0.5), torch.ones(1000, dtype=torch.complex64) * (1 + 1j)
    outputs = layer(inputs)
    assert set(outputs.tolist()) == {0j, 2 + 2j}
    assert torch.equal(layer.eval()(inputs), inputs)
    with pytest.raises(ValueError, match="got 1"):
        ComplexDropout(1.0)


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="'tanh'; use crelu, modrelu or zrelu"):
        make_activation("tanh", 4)


def test_residual_encoder_sees_magnitudes_only():
    model = ChannelModel()
    network = ResidualEncoder(model).eval()
    channel = sample_channels(model, 2, torch.Generator().manual_seed(0))
    phases = torch.polar(torch.ones(channel.shape), 6 * torch.rand(channel.shape))
    with torch.no_grad():
        for plain, turned in zip(network(channel), network(channel * phases), strict=True):
            torch.testing.assert_close(plain, turned, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("activation", ["crelu", "modrelu", "zrelu"])
def test_complex_network_learns_from_the_rate(activation):
    model = ChannelModel(receive_shape=(2, 4), transmit_shape=(4, 4))
    network = ComplexNetwork(model, activation=activation)
    channel = sample_channels(model, 16, torch.Generator().manual_seed(0))
    optimum = measure_optimum(channel, 0.0).mean()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    rates = []
    for _ in range(25):
        rate = measure_spectral_efficiency(channel, *network(channel), 0.0).mean() / optimum
        optimizer.zero_grad()
        (-rate).backward()
        optimizer.step()
        rates.append(rate.item())
    assert rates[-1] > rates[0] + 0.05
    assert rates[-1] < 1
