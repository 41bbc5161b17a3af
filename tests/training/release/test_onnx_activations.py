from collections import Counter

import numpy as np
import onnx
import pytest

from handlers.device import Cpu
from handlers.program import load_program
from training.release.onnx_quantization import quantize_statically

GATED = """
<ir_version: 10, opset_import: ["": 20]>
net (float[rows, 4, 8, 8] x) => (float[rows, 8, 8, 8] y)
{
    [first] z = Conv <pads = [1, 1, 1, 1]> (x, first_weight)
    [bend] g = Gelu (z)
    [second] y = Conv <pads = [1, 1, 1, 1]> (g, second_weight)
}
"""


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def quantize(text, folder, x, **weights):
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in weights.items())
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx", quantize_statically(folder / "net.onnx", folder / "int8.onnx", [[x]])


def count_operations(path):
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_a_gelu_between_two_rounded_values_is_multiplied_and_close(tmp_path):
    x = draw(16, 4, 8, 8)
    weights = {"first_weight": draw(8, 4, 3, 3) / 6, "second_weight": draw(8, 8, 3, 3)}
    source, int8 = quantize(GATED, tmp_path, x, **weights)
    operations = count_operations(int8)
    assert (operations["QLinearSigmoid"], operations["QLinearMul"], operations["Gelu"]) == (1, 1, 0)
    exact, found = (load_program(path, Cpu())([x])[0] for path in (source, int8))
    assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.03


@pytest.mark.parametrize("also", ["g", "z"])
def test_a_gelu_that_is_wanted_in_floats_too_is_right(tmp_path, also):
    """Another output takes what comes before it, or what comes of it."""
    x = draw(16, 4, 8, 8)
    text = GATED.replace("y)\n{", f"y, float[rows, 8, 8, 8] {also})\n{{")
    weights = {"first_weight": draw(8, 4, 3, 3) / 6, "second_weight": draw(8, 8, 3, 3)}
    source, int8 = quantize(text, tmp_path, x, **weights)
    for exact, found in zip(*(load_program(path, Cpu())([x]) for path in (source, int8)), strict=True):
        assert 0 < np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.03


def test_a_gelu_behind_a_convolution_in_floats_stays_exact(tmp_path):
    """One channel and three by three places: nine products, too few to round."""
    x = draw(16, 1, 8, 8)
    text = GATED.replace("rows, 4, 8, 8] x", "rows, 1, 8, 8] x")
    weights = {"first_weight": draw(8, 1, 3, 3) / 3, "second_weight": draw(8, 8, 3, 3)}
    operations = count_operations(quantize(text, tmp_path, x, **weights)[1])
    assert (operations["QLinearSigmoid"], operations["Gelu"]) == (0, 1)
