import numpy as np
import onnx
import pytest

from handlers.device import Cpu
from handlers.program import load_program
from training.release.left_out import LeftOutError
from training.release.onnx_quantization import quantize_statically
from training.release.rounding import Rounding

CONVOLUTION = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 3, 8, 8] x) => (float[rows, 8, 8, 8] y)
{
    z = Conv <pads = [1, 1, 1, 1]> (x, weight)
    y = Relu (z)
}
"""
SUM = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 4] x) => (float[rows, 4] y)
{
    y = Add (x, x)
}
"""
ATTENTION = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 4, 8] x, float[rows, 1, 4] bias) => (float[rows, 4, 8] y)
{
    keys = MatMul (x, weight)
    turned = Transpose <perm = [0, 2, 1]> (keys)
    [likeness] scores = MatMul (x, turned)
    [hide] hidden = Add (scores, bias)
    weights = Softmax <axis = -1> (hidden)
    y = MatMul (weights, x)
}
"""
RESCALED = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 8] x, float[rows, 1] level) => (float[rows, 8] y)
{
    [product] found = MatMul (x, weight)
    bent = Tanh (found)
    [levelled] y = Add (bent, level)
}
"""


def save(text, path, weight=None):
    model = onnx.parser.parse_model(text)
    if weight is not None:
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    onnx.save(model, path)
    return path


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_static_one_is_close_and_its_weights_have_seven_bits(tmp_path):
    """Products of 8-bit numbers overflow on CPUs without VNNI."""
    x = draw(16, 3, 8, 8)
    source = save(CONVOLUTION, tmp_path / "net.onnx", draw(8, 3, 3, 3))
    quantized = quantize_statically(source, tmp_path / "int8.onnx", [[x[:8]], [x[8:]]])
    exact, found = (load_program(path, Cpu())([x])[0] for path in (source, quantized))
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    arrays = [onnx.numpy_helper.to_array(value) for value in onnx.load(quantized).graph.initializer]
    (weight,) = (array for array in arrays if array.dtype == np.int8 and array.ndim == 4)
    assert weight.min() >= -64
    assert weight.max() == 64


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # onnxruntime's, of ranges that it then does not use
@pytest.mark.parametrize("ranges", ["extremes", "percentile", "entropy"])
@pytest.mark.parametrize("far", [-np.inf, -1e9])
def test_attention_that_hides_places_is_close(tmp_path, far, ranges):
    """A range that holds what hides a place has no steps left for the scores of the others."""
    x, bias = draw(16, 4, 8), np.zeros((16, 1, 4), np.float32)
    bias[::2, :, 2:] = far
    source = save(ATTENTION, tmp_path / "net.onnx", draw(8, 8))
    rounding = Rounding(ranges=ranges)
    batches = [[x[:9], bias[:9]], [x[9:], bias[9:]]]  # sizes differ, as those of texts
    quantized = quantize_statically(source, tmp_path / "int8.onnx", batches, rounding)
    exact, found = (load_program(path, Cpu())([x, bias])[0] for path in (source, quantized))
    assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.05


def test_rows_of_other_levels_do_not_coarsen_a_row(tmp_path):
    """The last sum is in the rows' own units: a range for all of them has no steps left for the small ones."""
    x, level = draw(16, 8), np.zeros((16, 1), np.float32)
    level[::2] = 1e5
    source = save(RESCALED, tmp_path / "net.onnx", draw(8, 8))
    quantized = quantize_statically(source, tmp_path / "int8.onnx", [[x, level]])
    exact, found = (load_program(path, Cpu())([x, level])[0][1::2] for path in (source, quantized))
    assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.05


def test_what_cannot_be_quantized_is_left_out(tmp_path):
    source = save(SUM, tmp_path / "net.onnx")
    with pytest.raises(LeftOutError, match="no convolution or matrix product"):
        quantize_statically(source, tmp_path / "int8.onnx", [[draw(2, 4)]])


def test_a_first_convolution_of_few_products_stays_in_floats(tmp_path):
    """Rounding what comes in costs more than 9 products for each value save; the next one, of 72, is rounded."""
    text = CONVOLUTION.replace("rows, 3, 8, 8] x", "rows, 1, 8, 8] x").replace(
        "y = Relu (z)", "bent = Relu (z)\n    [second] y = Conv <pads = [1, 1, 1, 1]> (bent, weights)"
    )
    model = onnx.parser.parse_model(text.replace("    z = Conv", "    [first] z = Conv"))
    for name, value in {"weight": draw(8, 1, 3, 3), "weights": draw(8, 8, 3, 3)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, tmp_path / "net.onnx")
    int8 = quantize_statically(tmp_path / "net.onnx", tmp_path / "int8.onnx", [[draw(16, 1, 8, 8)]])
    arrays = [onnx.numpy_helper.to_array(value) for value in onnx.load(int8).graph.initializer]
    assert [array.shape for array in arrays if array.ndim == 4 and array.dtype == np.float32] == [(8, 1, 3, 3)]
    assert [array.shape for array in arrays if array.dtype == np.int8 and array.ndim == 4] == [(8, 8, 3, 3)]


def test_a_program_of_such_a_convolution_alone_is_left_out(tmp_path):
    text = CONVOLUTION.replace("rows, 3, 8, 8] x", "rows, 1, 8, 8] x").replace("    z = Conv", "    [first] z = Conv")
    source = save(text, tmp_path / "net.onnx", draw(8, 1, 3, 3))
    with pytest.raises(LeftOutError, match="no convolution or matrix product"):
        quantize_statically(source, tmp_path / "int8.onnx", [[draw(16, 1, 8, 8)]])
