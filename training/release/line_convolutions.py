"""Convolutions over lines, written as those over images of height one, before they are quantized.

torch 2.13 takes a packed int8 `conv1d` for one whose kernel has length 1: by its shapes the result is longer than it
is, and a sum with anything else stops the compiler ("The size of tensor a (66) must match the size of tensor b (68)").

Dimensions: N rows, C channels, L places on a line.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node

_aten = torch.ops.aten
# Behind the input and the weight: bias, stride, padding, dilation, groups.
_UNSAID = (None, None, None, (1,), (0,), (1,), 1)


def raise_lines(module: GraphModule) -> None:
    """Turn every `conv1d` of [N, C, L] whose weight is stored into a `conv2d` of [N, C, 1, L]."""
    lines = [node for node in module.graph.nodes if node.target == _aten.conv1d.default]
    lines = [line for line in lines if isinstance(line.args[1], Node) and line.args[1].op == "get_attr"]
    for name in dict.fromkeys(str(line.args[1].target) for line in lines):
        _raise_weight(module, name)
    for line in lines:
        _raise_line(module.graph, line)
    module.recompile()


def _raise_line(graph: torch.fx.Graph, line: Node) -> None:
    given: list[Any] = [*line.args, *_UNSAID[len(line.args) :]]
    x, weight, bias, stride, padding, dilation, groups = given
    with graph.inserting_before(line):
        image = graph.call_function(_aten.unsqueeze.default, (x, 2))
        sizes = [[across, *along] for across, along in ((1, stride), (0, padding), (1, dilation))]
        convolution = graph.call_function(_aten.conv2d.default, (image, weight, bias, *sizes, groups))
        result = graph.call_function(_aten.squeeze.dim, (convolution, 2))
    result.meta = line.meta.copy()
    line.replace_all_uses_with(result)
    graph.erase_node(line)


def _raise_weight(module: GraphModule, name: str) -> None:
    """Give a weight [D, C, K] the height of an image, [D, C, 1, K]."""
    path, _, attribute = name.rpartition(".")
    owner = operator.attrgetter(path)(module) if path else module
    weight = getattr(owner, attribute)
    raised = weight.detach().unsqueeze(2)
    # Exported programs hold frozen weights as buffers.
    setattr(owner, attribute, nn.Parameter(raised) if isinstance(weight, nn.Parameter) else raised)
