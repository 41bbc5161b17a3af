"""What is asked of the graph of an ONNX file before its nodes are replaced."""

from __future__ import annotations

from collections import Counter

import onnx


def count_uses(graph: onnx.GraphProto) -> Counter[str]:
    """How often each value is used: by nodes, by those of loops and branches within, and as an output."""
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                uses += count_uses(attribute.g)
    return uses
