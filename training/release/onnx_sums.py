"""Weighted sums of an ONNX file as products of matrices: Σₜ w[t, …, 1] · v[t, …, E], as attention mixes values.

A compiler makes one loop of such a sum; onnxruntime makes two passes over all that is mixed, and adds it slowly: for 12
places of 160 rows, 4 heads and 32 features 0.36 ms, where the product takes 0.13 and its transposing 0.08 (one thread,
Zen 3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from training.release.onnx_graph import count_uses

Shape = list[int | str]
_ADDED_AXIS = "sums_added_axis"


def multiply_sums(model: onnx.ModelProto) -> None:
    """Replace every sum over the first axis of values times weights, whose last axis is 1 where the values' is not."""
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    shapes = _read_shapes(model)
    constants = {constant.name: constant for constant in graph.initializer}
    num_uses = count_uses(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        product = makers.get(node.input[0]) if _adds_first_axis(node, constants) else None
        operands = _find_operands(product, shapes) if product and num_uses[product.output[0]] == 1 else None
        if product is None or operands is None:
            nodes.append(node)
        else:
            nodes.remove(product)
            nodes += _multiply(*operands, node.output[0], len(shapes[operands[1]]))
    if len(nodes) != len(graph.node):
        graph.initializer.append(numpy_helper.from_array(np.array([-2], np.int64), _ADDED_AXIS))
        del graph.node[:]
        graph.node.extend(nodes)


def _read_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """The shapes of all values, free sizes by their names."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def _adds_first_axis(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    if node.op_type != "ReduceSum" or len(node.input) < 2 or node.input[1] not in constants:
        return False
    keeps = next((attribute.i for attribute in node.attribute if attribute.name == "keepdims"), 1)
    return not keeps and numpy_helper.to_array(constants[node.input[1]]).tolist() == [0]


def _find_operands(product: NodeProto, shapes: Mapping[str, Shape]) -> tuple[str, str] | None:
    """Name the weights [T, …, 1] and the values [T, …, E] of a product, if it has such."""
    if product.op_type != "Mul":
        return None
    weights, values = sorted(product.input, key=lambda name: shapes.get(name, [0])[-1:] != [1])
    first, second = shapes.get(weights, []), shapes.get(values, [])
    if len(first) != len(second) or len(first) < 3 or first[0] != second[0]:
        return None
    return (weights, values) if first[-1] == 1 and second[-1] != 1 else None


def _multiply(weights: str, values: str, total: str, num_axes: int) -> list[NodeProto]:
    """Weights [T, …, 1] and values [T, …, E] → […, 1, T] times […, T, E] → […, E]."""
    rest = [*range(1, num_axes - 1)]
    last = num_axes - 1
    return [
        helper.make_node("Transpose", [weights], [f"{total}_weights"], perm=[*rest, last, 0]),
        helper.make_node("Transpose", [values], [f"{total}_values"], perm=[*rest, 0, last]),
        helper.make_node("MatMul", [f"{total}_weights", f"{total}_values"], [f"{total}_row"]),
        helper.make_node("Squeeze", [f"{total}_row", _ADDED_AXIS], [total]),
    ]
