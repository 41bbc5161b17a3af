"""What GPUs run, on the CPU: there it is slow, and the same."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from training.release.dynamic_quantization import quantize_dynamically
from training.release.gpu_quantization import FLOAT8_MULTIPLE, INT8_MULTIPLE, Float8Linear, PaddedLinear
from training.release.quantization import NotQuantizableError

FORMS = pytest.mark.parametrize(
    ("form", "multiple", "error", "operator"),
    [(PaddedLinear, INT8_MULTIPLE, 0.02, "_int_mm"), (Float8Linear, FLOAT8_MULTIPLE, 0.12, "_scaled_mm")],
    ids=["int8", "float8"],
)


def export(module, width):
    rows = torch.export.Dim("rows", min=1, max=64)
    return torch.export.export(module, (torch.randn(3, width),), dynamic_shapes=({0: rows},))


@FORMS
def test_linear_layers_are_replaced_where_tensor_cores_take_their_sizes(form, multiple, error, operator):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10, bias=False))
    quantized = quantize_dynamically(export(module, 48), form, multiple)
    targets = [str(node.target) for node in quantized.graph.nodes if node.op == "call_function"]
    assert (sum(operator in target for target in targets), sum("linear" in target for target in targets)) == (1, 1)
    for num_rows in (1, 3, 40):
        features = torch.randn(num_rows, 48)
        found, exact = quantized.module()(features), module(features)
        assert found.dtype == torch.float32
        assert (found - exact).norm() / exact.norm() < error


@FORMS
def test_a_row_does_not_depend_on_the_rows_beside_it(form, multiple, error, operator):
    layer, rows = form(torch.randn(16, 32), torch.randn(16)), torch.randn(4, 32)
    alone = layer(rows[:1])
    rows[1:] *= 1000
    torch.testing.assert_close(layer(rows)[:1], alone, atol=0, rtol=0)


@FORMS
def test_a_program_whose_layers_are_of_other_sizes_is_left_out(form, multiple, error, operator):
    with pytest.raises(NotQuantizableError, match=f"no linear layer of multiples of {multiple}"):
        quantize_dynamically(export(nn.Linear(6, 10), 6), form, multiple)


@FORMS
def test_a_gpus_own_checks_of_sizes_and_layouts_are_passed(form, multiple, error, operator):
    """Of tensors that know no more than their shapes and that they are on a GPU, which takes none."""
    with FakeTensorMode(), torch.device("cuda"):
        module = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10))
        quantized = quantize_dynamically(export(module, 48), form, multiple)
    (product,) = [node for node in quantized.graph.nodes if operator in str(node.target)]
    assert product.meta["val"].device.type == "cuda"
