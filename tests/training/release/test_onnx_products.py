import numpy as np
import onnx
import pytest

from handlers.device import Cpu
from handlers.program import load_program
from training.release.left_out import LeftOutError
from training.release.onnx_products import quantize_products

# A table that is also, turned, the matrix of a product, as a translator's embedding is.
PRODUCTS = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 64] x, int64[rows] pieces) => (float[rows, 16] y, float[rows, 32] z, float[rows, 64] taken)
{
    y = Gemm (x, weight, bias)
    turned = Transpose <perm = [1, 0]> (table)
    z = MatMul (x, turned)
    taken = Gather (table, pieces)
}
"""
MASKED = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 64] x) => (float[rows, 16] y)
{
    z = MatMul (x, weight)
    y = Add (z, mask)
}
"""
SUM = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 4] x) => (float[rows, 4] y)
{
    y = Add (x, x)
}
"""


def save(text, path, **arrays):
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(model, path)
    return path


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    return save(PRODUCTS, tmp_path / "net.onnx", weight=draw(64, 16), bias=draw(16), table=draw(32, 64))


def test_products_are_close_and_each_row_by_itself(source, tmp_path):
    x, pieces = draw(6, 64), np.arange(6)
    x[1:] *= 1000
    x[2] = 0
    run = load_program(quantize_products(source, tmp_path / "int8.onnx"), Cpu())
    exact, found, alone = load_program(source, Cpu())([x, pieces]), run([x, pieces]), run([x[:1], pieces[:1]])
    for right, answer in zip(exact[:2], found[:2], strict=True):
        for row in (0, 1, 3):
            assert 0 < np.linalg.norm(answer[row] - right[row]) / np.linalg.norm(right[row]) < 0.03
        np.testing.assert_allclose(answer[2], right[2], atol=1e-6)
    np.testing.assert_array_equal(found[2], exact[2])
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one[:1], other)


def test_all_products_multiply_integers_and_weights_have_seven_bits(source, tmp_path):
    """Products of 8-bit numbers overflow on CPUs without VNNI."""
    graph = onnx.load(quantize_products(source, tmp_path / "int8.onnx")).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("MatMulIntegerToFloat") == 2
    assert operators.count("QuantizeLinear") == 1  # both take the same rows
    assert "MatMul" not in operators
    weights = [onnx.numpy_helper.to_array(value) for value in graph.initializer if value.data_type == 3]
    assert sorted(np.abs(weight).max() for weight in weights if weight.ndim == 2) == [63, 63]


def test_what_forbids_columns_is_part_of_the_product(tmp_path):
    mask = np.zeros(16, np.float32)
    mask[[0, 3]] = -np.inf
    source = save(MASKED, tmp_path / "net.onnx", weight=draw(64, 16), mask=mask)
    path, x = quantize_products(source, tmp_path / "int8.onnx"), draw(6, 64)
    assert onnx.load(path).graph.node[-1].op_type == "Mul"
    (right,), (found,) = load_program(source, Cpu())([x]), load_program(path, Cpu())([x])
    np.testing.assert_array_equal(found == -np.inf, right == -np.inf)
    allowed = np.isfinite(mask)
    difference = found[:, allowed] - right[:, allowed]
    assert np.linalg.norm(difference) < 0.03 * np.linalg.norm(right[:, allowed])


def test_other_summands_of_a_product_stay_outside(tmp_path):
    source = save(MASKED, tmp_path / "net.onnx", weight=draw(64, 16), mask=draw(16))
    assert onnx.load(quantize_products(source, tmp_path / "int8.onnx")).graph.node[-1].op_type == "Add"


def test_what_has_no_product_is_left_out(tmp_path):
    with pytest.raises(LeftOutError, match="no product with a constant matrix"):
        quantize_products(save(SUM, tmp_path / "net.onnx"), tmp_path / "int8.onnx")
