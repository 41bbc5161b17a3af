import pytest
import torch
from torch import nn

from training.release.capture import capture
from training.release.quantization import NotQuantizableError, quantize
from training.release.spec import ProgramSpec

CPU = torch.device("cpu")


def export(module, example):
    rows = torch.export.Dim("rows", min=1, max=16)
    return capture(ProgramSpec(module=module, example_inputs=(example,), dynamic_shapes=({0: rows},)), CPU)


def count(program, name):
    return sum(name in str(node.target) for node in program.graph.nodes)


class Residual(nn.Module):
    """Calls one ReLU twice, adds, and uses functions where modules are usual."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.relu, self.head = nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x):
        x = self.relu(self.first(x))
        return self.head(self.relu(self.second(x) + x).mean((2, 3)))


def test_reused_modules_quantize_and_stay_close():
    torch.manual_seed(0)
    module, x = Residual(), torch.randn(16, 3, 8, 8)
    quantized = quantize(export(module, x), [(x,)])
    assert count(quantized, "quantize_per_channel") == 3  # both convolutions and the head, by their weights
    error = (quantized.module()(x) - module(x)).norm() / module(x).norm()
    assert error < 0.1
    assert quantized.module()(x[:1]).shape == (1, 4)


def test_a_convolution_over_one_channel_stays_in_floats():
    module = nn.Sequential(nn.Conv2d(1, 8, 2), nn.GELU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    x = torch.randn(4, 1, 8, 8)
    assert count(quantize(export(module, x), [(x,)]), "quantize_per_channel") == 2


def test_programs_without_such_layers_are_not_quantizable():
    x = torch.randn(4, 3)
    with pytest.raises(NotQuantizableError, match="no convolution or linear layer"):
        quantize(export(nn.Softmax(1), x), [(x,)])
