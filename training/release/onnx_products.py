"""int8 for onnxruntime's products with constant matrices, whose other side becomes int8 as it comes, row by row.

Every row has a scale of its own, so that a row's result does not depend on the rows beside it; onnxruntime's own
dynamic quantization gives all rows of a batch one. Its products of blocks (`MatMulNBits`) have scales by row too, but
without VNNI they take longer than products of floats: 160 × 512 rows by 512 × 2048 weights 1.5 times as long, where
these take 0.56 times (one thread, Zen 3). Signed rows would take 3 times, so rows are unsigned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel

from training.release.left_out import LeftOutError
from training.release.onnx_graph import count_uses
from training.release.rounding import LARGEST_PORTABLE_WEIGHT

_LARGEST = 127
_CONSTANTS: dict[str, np.ndarray] = {
    "int8_last_axis": np.array([-1], np.int64),
    "int8_step": np.array(1 / _LARGEST, np.float32),
    "int8_least": np.array(1e-8, np.float32),
    "int8_zero_point": np.array(128, np.uint8),
    "int8_weight_zero_point": np.array(0, np.int8),
}


def quantize_products(source: Path, path: Path) -> Path:
    """Quantize the constant matrices of an ONNX file to 7 bits by column, and what they multiply to 8 bits by row.

    Raises:
        LeftOutError: it has no product with a constant matrix.
    """
    loaded = ONNXModel(onnx.load(source))
    loaded.replace_gemm_with_matmul()
    graph = loaded.model.graph
    weights = {node.output[0]: weight for node, weight in _find_products(graph)}
    if not weights:
        raise LeftOutError("it has no product with a constant matrix")
    masks = dict(_find_masks(graph, weights))
    nodes: list[NodeProto] = []
    prepared: set[str] = set()
    for node in graph.node:
        weight = weights.get(node.output[0])
        if weight is None:
            if node not in masks.values():
                nodes.append(node)
            continue
        features = node.input[0]
        if features not in prepared:
            nodes += _quantize_rows(features)
            prepared.add(features)
        graph.initializer.extend(_quantize_weight(weight, node.output[0]))
        nodes += _multiply(features, node.output[0], masks.get(node.output[0]))
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in _CONSTANTS.items())
    del graph.node[:]
    graph.node.extend(nodes)
    loaded.set_opset_import("com.microsoft", 1)
    loaded.topological_sort()
    loaded.remove_unused_constant()
    onnx.save(loaded.model, path)
    return path


def _find_products(graph: onnx.GraphProto) -> Iterator[tuple[NodeProto, np.ndarray]]:
    """Each product with a constant matrix and this matrix [K, N], which may be another one turned."""
    constants = {constant.name: constant for constant in graph.initializer}
    turned = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Transpose"}
    for node in graph.node:
        if node.op_type != "MatMul":
            continue
        name = node.input[1]
        constant = constants.get(turned.get(name, name))
        if constant is not None and len(constant.dims) == 2:
            weight = numpy_helper.to_array(constant)
            yield node, weight.T if name in turned else weight


def _find_masks(graph: onnx.GraphProto, products: Collection[str]) -> Iterator[tuple[str, NodeProto]]:
    """Additions to products of constants that are 0 or infinite: no scale changes these, so they go into the product.

    A translator forbids pieces so, of a vocabulary whose logits are more than a cache holds.
    """
    constants = {constant.name: constant for constant in graph.initializer}
    num_uses = count_uses(graph)
    for node in graph.node:
        if node.op_type != "Add" or node.input[0] not in products or num_uses[node.input[0]] != 1:
            continue
        constant = constants.get(node.input[1])
        if constant is not None and len(constant.dims) == 1:
            values = numpy_helper.to_array(constant)
            if not np.any(values[np.isfinite(values)]):
                yield node.input[0], node


def _quantize_rows(features: str) -> list[NodeProto]:
    """Floats [..., K] → their rows' scales [..., 1] and numbers uint8 [..., K], of which 128 is zero."""
    return [
        helper.make_node("Abs", [features], [f"{features}_magnitudes"]),
        helper.make_node("ReduceMax", [f"{features}_magnitudes", "int8_last_axis"], [f"{features}_largest"]),
        helper.make_node("Add", [f"{features}_largest", "int8_least"], [f"{features}_scale"]),
        helper.make_node("Div", [features, f"{features}_scale"], [f"{features}_scaled"]),
        helper.make_node(
            "QuantizeLinear", [f"{features}_scaled", "int8_step", "int8_zero_point"], [f"{features}_quantized"]
        ),
    ]


def _quantize_weight(weight: np.ndarray, product: str) -> list[onnx.TensorProto]:
    """Weights [K, N] → their columns' scales [N] and numbers int8 [K, N]."""
    scale = np.maximum(np.abs(weight).max(0) / LARGEST_PORTABLE_WEIGHT, 1e-8).astype(np.float32)
    numbers = np.round(weight / scale).astype(np.int8)
    named = {f"{product}_weight": numbers, f"{product}_weight_scale": scale}
    return [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in named.items()]


def _multiply(features: str, product: str, mask: NodeProto | None) -> list[NodeProto]:
    operands = [f"{features}_quantized", f"{product}_weight", "int8_step", f"{product}_weight_scale"]
    operands += ["int8_zero_point", "int8_weight_zero_point"]
    operands += [mask.input[1]] if mask else []
    result = mask.output[0] if mask else product
    return [
        helper.make_node(
            "MatMulIntegerToFloat", operands, [f"{product}_unscaled"], f"{product}_int8", domain="com.microsoft"
        ),
        helper.make_node("Mul", [f"{product}_unscaled", f"{features}_scale"], [result]),
    ]
