import pytest
import torch
from torch import nn

from training.release.capture import capture
from training.release.quantization import NotQuantizableError, quantize, rank_operations
from training.release.rounding import Rounding
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


class Lines(nn.Module):
    """Dilated convolutions over lines, each added to what it saw."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 8, 3, padding=1, stride=2)
        self.second = nn.Conv1d(8, 8, 3, padding=2, dilation=2, bias=False)

    def forward(self, x):
        x = self.first(x).relu()
        return (x + self.second(x).relu()).mean(2)


def test_convolutions_over_lines_are_quantized_as_those_over_images():
    torch.manual_seed(0)
    module, x = Lines().eval(), torch.randn(16, 2, 64)
    program = export(module, x)
    assert set(rank_operations(program, [(x,)])) == {"first", "second"}
    quantized = quantize(program, [(x,)])
    counts = {name: count(quantized, name) for name in ("conv1d", "conv2d", "quantize_per_channel")}
    assert counts == {"conv1d": 0, "conv2d": 2, "quantize_per_channel": 2}
    error = (quantized.module()(x) - module(x)).norm() / module(x).norm()
    assert 0 < error < 0.05
    torch.testing.assert_close(program.module()(x), module(x))  # quantizing left the program as it was


def test_programs_without_such_layers_are_not_quantizable():
    x = torch.randn(4, 3)
    with pytest.raises(NotQuantizableError, match="no convolution or linear layer"):
        quantize(export(nn.Softmax(1), x), [(x,)])


@pytest.fixture(scope="module")
def outlier():
    """A program with a channel a hundred times as large as the others and no more important, its rows and answers."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)]
    with torch.no_grad():
        layers[0].weight[0] *= 100
        layers[0].bias[0] *= 100
        layers[1].weight[:, 0] /= 100
    module = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]).eval()
    x = torch.randn(16, 3, 8, 8)
    return export(module, x), [(x,)], module(x).detach()


def test_the_layers_around_an_outlier_are_the_most_sensitive_and_may_stay_in_floats(outlier):
    program, calibration, expected = outlier
    ranked = rank_operations(program, calibration)
    assert (set(ranked[:2]), ranked[2]) == ({"0", "2"}, "4")
    errors = []
    for in_floats in ((), tuple(ranked[:2])):
        rounding = Rounding(ranges="least error", weight_bits=8, in_floats=in_floats)
        quantized = quantize(program, calibration, rounding)
        assert count(quantized, "quantize_per_channel") == 3 - len(in_floats)
        errors.append(float((quantized.module()(*calibration[0]) - expected).norm() / expected.norm()))
    assert errors[1] < 0.2 * errors[0]


def find_scales(program, calibration, ranges):
    quantized = quantize(program, calibration, Rounding(ranges=ranges, weight_bits=8))
    nodes = quantized.graph.nodes
    return [node.args[1] for node in nodes if str(node.target) == "quantized_decomposed.quantize_per_tensor.default"]


@pytest.mark.parametrize(("flags", "largest"), [({"avx2", "fma"}, 127), ({"avx2", "fma", "avx_vnni"}, 255)])
def test_where_there_is_no_vnni_activations_have_seven_bits(monkeypatch, flags, largest):
    """Products of 8-bit numbers overflow there."""
    monkeypatch.setattr("host.instruction_sets.cpu_flags", lambda: frozenset(flags))
    x = torch.rand(16, 3, 4, 4)
    (scale,) = find_scales(export(nn.Conv2d(3, 4, 1), x[:4]), [(x,)], "extremes")
    assert scale == pytest.approx(float(x.max()) / largest, rel=1e-3)


def test_a_percentile_leaves_out_the_few_largest_values(monkeypatch):
    monkeypatch.setattr("host.instruction_sets.cpu_flags", lambda: frozenset({"avx2", "fma", "avx_vnni"}))
    module = nn.Conv2d(3, 4, 1)
    x = torch.rand(16, 3, 32, 32)
    x[0, 0, 0, :4] = 1000.0
    program = export(module, x[:4])
    (by_extremes,), (by_percentile,) = (find_scales(program, [(x,)], ranges) for ranges in ("extremes", "percentile"))
    assert by_extremes == pytest.approx(1000 / 255, rel=1e-3)
    assert by_percentile < 0.01
