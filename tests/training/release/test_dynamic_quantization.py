from contextlib import nullcontext

import pytest
import torch
from torch import nn

from training.release import dynamic_quantization
from training.release.dynamic_quantization import DynamicLinear, check_integers_pay, quantize_dynamically
from training.release.quantization import NotQuantizableError


def test_a_quantized_layer_is_close_to_the_layer():
    torch.manual_seed(0)
    layer = nn.Linear(64, 40)
    features = torch.randn(3, 5, 64)
    found = DynamicLinear(layer.weight.detach(), layer.bias.detach())(features)
    assert (found - layer(features)).norm() / layer(features).norm() < 0.02


def test_where_there_is_no_vnni_weights_have_seven_bits(monkeypatch):
    torch.manual_seed(0)
    layer = nn.Linear(64, 40)
    features = torch.randn(15, 64)
    for flags, largest in ((("avx2", "fma", "avx_vnni"), 127), (("avx2", "fma"), 63)):
        monkeypatch.setattr("host.instruction_sets.cpu_flags", lambda flags=flags: frozenset(flags))
        rounded = DynamicLinear(layer.weight.detach(), layer.bias.detach())
        assert rounded.weight.abs().max() == largest
        assert (rounded(features) - layer(features)).norm() / layer(features).norm() < 0.02


def test_a_row_does_not_depend_on_the_rows_beside_it():
    layer = DynamicLinear(torch.randn(8, 16), None)
    rows = torch.randn(4, 16)
    alone = layer(rows[:1])
    rows[1:] *= 1000
    torch.testing.assert_close(layer(rows)[:1], alone, atol=0, rtol=0)


def test_a_row_of_zeros_stays_finite():
    assert torch.equal(DynamicLinear(torch.ones(2, 4), torch.ones(2))(torch.zeros(1, 4)), torch.ones(1, 2))


def test_every_linear_layer_of_a_program_is_replaced_and_rows_stay_free():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4, bias=False))
    rows = torch.export.Dim("rows", min=1, max=8)
    program = torch.export.export(module, (torch.randn(3, 16),), dynamic_shapes=({0: rows},))
    quantized = quantize_dynamically(program)
    targets = [str(node.target) for node in quantized.graph.nodes if node.op == "call_function"]
    assert sum("_int_mm" in target for target in targets) == 2
    assert not any("linear" in target for target in targets)
    features = torch.randn(5, 16)
    torch.testing.assert_close(quantized.module()(features), module(features), atol=0.05, rtol=0.05)


def test_a_program_without_linear_layers_is_left_out():
    program = torch.export.export(nn.ReLU(), (torch.randn(2, 3),))
    with pytest.raises(NotQuantizableError, match="no linear layer"):
        quantize_dynamically(program)


@pytest.mark.parametrize(("integers_s", "pays"), [(2e-3, True), (26e-3, False)])
def test_what_would_multiply_integers_slowly_is_left_out_before_it_is_compiled(monkeypatch, integers_s, pays):
    """Without VNNI torch multiplies them one by one, and compiling the program takes minutes all the same."""
    seconds = iter([integers_s, 1e-3])
    monkeypatch.setattr(dynamic_quantization, "_time_s", lambda run: run().sum() and next(seconds))
    expected = nullcontext() if pays else pytest.raises(NotQuantizableError, match="26 times as long as of floats here")
    with expected:
        check_integers_pay()
