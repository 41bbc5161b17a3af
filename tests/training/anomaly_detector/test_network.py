import pytest
import torch

from training.anomaly_detector.network import SignalAutoencoder, count_code
from training.anomaly_detector.program import Program, measure_deviation


@torch.no_grad()
def test_gain_and_offset_of_a_signal_do_not_matter(tiny_recipe):
    torch.manual_seed(0)
    program = Program(SignalAutoencoder(tiny_recipe, 250))
    signals = torch.randn(3, 250)
    (found, deviation), (louder, same) = program(signals), program(1000 * signals + 50)
    torch.testing.assert_close((louder - 50) / 1000, found, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(same, deviation, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_what_comes_back_depends_on_nothing_but_the_code(tiny_recipe):
    network = SignalAutoencoder(tiny_recipe, 250).eval()
    shapes = []
    network.narrow.register_forward_hook(lambda module, inputs, output: shapes.append(output[0].numel()))
    torch.nn.init.zeros_(network.narrow.weight)
    one, other = network(torch.randn(2, 250))
    assert torch.equal(one, other)
    assert shapes == [count_code(tiny_recipe, 250)] == [2 * 63]


def test_the_deviation_is_a_root_mean_square():
    signals = torch.zeros(2, 100)
    signals[0, 40:50], signals[1] = 3.0, 1.0
    assert measure_deviation(torch.zeros(2, 100), signals).tolist() == pytest.approx([0.9**0.5, 1])
