"""Which operations of an ONNX file stay in floats whatever ranges its calibration shows: int8 is no gain to them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import onnx

# What a first convolution adds up for each value of its output. Gathering places and rounding what comes in cost more
# there than products of 8 bits save: with one channel 2×2 places take 0.73 times as long in floats, a line of 7 places
# 0.83 to 0.90, 3×3 places 0.92, and three channels of 3×3 0.93 with 16 filters but 1.12 with 64 (one thread, Zen 3).
_FEWEST_PRODUCTS = 16


def find_float_operations(graph: onnx.GraphProto, core: Collection[str]) -> list[str]:
    """Name what is not to be rounded; `core` are the types of operations that int8 makes faster."""
    return [*_find_masked_sums(graph), *_find_what_follows(graph, core), *_find_narrow_starts(graph, core)]


def _find_masked_sums(graph: onnx.GraphProto) -> list[str]:
    """The sums that a softmax takes: where attention may not look they are −∞ or near it, and no range holds that."""
    weighed = {node.input[0] for node in graph.node if node.op_type == "Softmax"}
    return [node.name for node in graph.node if node.op_type == "Add" and node.output[0] in weighed and node.name]


def _find_what_follows(graph: onnx.GraphProto, core: Collection[str]) -> list[str]:
    """What no core operation comes behind: it gains nothing, and gives outputs units that rows may not share."""
    wanted: set[str] = set()
    names = []
    for node in reversed(graph.node):
        if node.op_type in core or wanted.intersection(node.output):
            wanted.update(node.input)
        elif node.name:
            names.append(node.name)
    return names


def _find_narrow_starts(graph: onnx.GraphProto, core: Collection[str]) -> Iterator[str]:
    """Convolutions of few products that no core operation comes before."""
    sizes = {constant.name: constant.dims for constant in graph.initializer}
    behind: set[str] = set()  # a core operation
    for node in graph.node:
        follows = not behind.isdisjoint(node.input)
        if node.op_type in core or follows:
            behind.update(node.output)
        size = sizes.get(node.input[1]) if node.op_type == "Conv" else None
        if size is not None and not follows and math.prod(size[1:]) < _FEWEST_PRODUCTS and node.name:
            yield node.name
