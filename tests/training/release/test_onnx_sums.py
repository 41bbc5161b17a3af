"""Weighted sums become products of matrices, and nothing else does."""

import numpy as np
import onnx
import pytest

from handlers.device import Cpu
from handlers.program import load_program
from training.release.onnx_sums import multiply_sums

MIXED = """
<ir_version: 10, opset_import: ["": 20]>
net (float[places, rows, 2, 1] weights, float[places, rows, 2, 8] values) => (float[rows, 2, 8] total)
<int64[1] first = {0}>
{
    weighed = Mul (weights, values)
    total = ReduceSum <keepdims = 0> (weighed, first)
}
"""


def operators_of(text):
    model = onnx.parser.parse_model(text)
    multiply_sums(model)
    onnx.checker.check_model(model)
    return model, [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("text", [MIXED, MIXED.replace("(weights, values)", "(values, weights)")])
def test_a_weighted_sum_is_a_product_with_the_same_result(text, tmp_path):
    model, operators = operators_of(text)
    assert operators == ["Transpose", "Transpose", "MatMul", "Squeeze"]
    onnx.save(model, tmp_path / "net.onnx")
    weights, values = (np.random.default_rng(0).random((5, 3, 2, size), np.float32) for size in (1, 8))
    (total,) = load_program(tmp_path / "net.onnx", Cpu())([weights, values])
    np.testing.assert_allclose(total, (weights * values).sum(0), rtol=1e-6)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("first = {0}", "first = {1}"),
        ("total = ReduceSum <keepdims = 0>", "total = ReduceSum"),
        ("weighed = Mul", "weighed = Add"),
        ("2, 1] weights", "2, 8] weights"),
        ("float[places, rows, 2, 1]", "float[1, rows, 2, 1]"),
        ("(float[rows, 2, 8] total)", "(float[rows, 2, 8] total, float[places, rows, 2, 8] weighed)"),
    ],
    ids=["another axis", "the axis is kept", "no product", "no weights", "one weight for all", "wanted itself too"],
)
def test_other_sums_stay_as_they_are(part, other):
    assert part in MIXED
    assert operators_of(MIXED.replace(part, other))[1][-1] == "ReduceSum"
