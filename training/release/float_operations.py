"""Which operations of an ONNX file stay in floats whatever ranges its calibration shows: no range of theirs holds."""

from __future__ import annotations

from collections.abc import Collection

import onnx


def find_float_operations(graph: onnx.GraphProto, core: Collection[str]) -> list[str]:
    """Name what is not to be rounded; `core` are the types of operations that int8 makes faster."""
    return [*_find_masked_sums(graph), *_find_what_follows(graph, core)]


def _find_masked_sums(graph: onnx.GraphProto) -> list[str]:
    """The sums that a softmax takes: where attention may not look they are −∞ or near it."""
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
