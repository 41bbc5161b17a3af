"""Which values a program's inputs may have: what its graph tells, and what its user declares.

A compiled program does not check an index: one that is out of range ends the worker's process, or reads what is not
there. So the range belongs into the manifest, where the gateway enforces it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.export import ExportedProgram

from training.release.capture import input_values

aten = torch.ops.aten
Range = tuple[float | None, float | None]

# Operators after which every element is still one of the input's, none left out: a column of the input alone would
# say nothing about the others.
_KEEPING = {
    aten.view,
    aten.reshape,
    aten.flatten,
    aten.unsqueeze,
    aten.squeeze,
    aten.expand,
    aten.permute,
    aten.transpose,
    aten.clone,
    aten.contiguous,
    aten.detach,
    aten.to,
    aten._to_copy,
}
_INDEX_DTYPES = (torch.int32, torch.int64)


def derive_ranges(program: ExportedProgram) -> dict[str, Range]:
    """Find the integer inputs that are used as indices of something of fixed size, and the values they may have."""
    names = [str(name) for name in program.graph_signature.user_inputs]
    integers = {name for name, value in zip(names, input_values(program), strict=True) if value.dtype in _INDEX_DTYPES}
    found: dict[str, tuple[int, int]] = {}
    for node in program.graph.nodes:
        for index, size, counts_back in _indexed(node):
            name = _find_source(index)
            if name in integers and isinstance(size, int):
                least = -size if counts_back else 0
                low, high = found.get(name, (least, size - 1))
                found[name] = (max(low, least), min(high, size - 1))
    return dict(found)


def parse_ranges(texts: Iterable[str]) -> dict[str, Range]:
    """Read declared ranges, `NAME=LOW:HIGH`; either end may be left open.

    Raises:
        ValueError: one is written otherwise, or empty.
    """
    ranges = {}
    for text in texts:
        name, _, bounds = text.partition("=")
        low, colon, high = bounds.partition(":")
        try:
            ends = [float(end) if end.strip() else None for end in (low, high)]
        except ValueError:
            ends = []
        if not name or not colon or not ends or any(end is not None and not math.isfinite(end) for end in ends):
            raise ValueError(f"the range {text!r} is not written as NAME=LOW:HIGH, for example tokens=0:99")
        least, most = ends
        if least is not None and most is not None and least > most:
            raise ValueError(f"the range {text!r} holds no value: {low} is above {high}")
        ranges[name.strip()] = (least, most)
    return ranges


def join_ranges(derived: Mapping[str, Range], declared: Mapping[str, Range]) -> dict[str, Range]:
    """Put declared ranges over those that the graph tells.

    Raises:
        ValueError: a declared range allows indices that the program does not have.
    """
    for name, (low, high) in declared.items():
        least, most = derived.get(name, (None, None))
        too_low = least is not None and low is not None and low < least
        if too_low or (most is not None and high is not None and high > most):
            raise ValueError(
                f"the range of {name} is declared as {in_words((low, high))}, but the program uses it as an index and "
                f"has {in_words((least, most))} only"
            )
    joined = dict(derived)
    for name, (low, high) in declared.items():
        least, most = derived.get(name, (None, None))
        joined[name] = (least if low is None else low, most if high is None else high)
    return joined


def in_words(ends: Range) -> str:
    low, high = ends
    return f"{'-∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"


def _indexed(node: torch.fx.Node) -> Iterable[tuple[torch.fx.Node, object, bool]]:
    """The indices that a node uses, how many values each may have, and whether negative ones count from the end."""
    packet = getattr(node.target, "overloadpacket", None)
    arguments: Any = node.args
    if packet in (aten.embedding, aten.embedding_bag):
        yield arguments[1], _size(arguments[0], 0), False
    elif packet in (aten.index_select, aten.gather):
        yield arguments[2], _size(arguments[0], arguments[1]), False
    elif packet is aten.index:
        for axis, index in enumerate(arguments[1]):
            if index is None:
                continue
            if index.meta["val"].dtype not in _INDEX_DTYPES:
                return  # a mask, which may stand for several dimensions
            yield index, _size(arguments[0], axis), True


def _size(source: object, axis: object) -> object:
    value = source.meta.get("val") if isinstance(source, torch.fx.Node) else None
    if not isinstance(value, torch.Tensor) or not isinstance(axis, int) or value.dim() == 0:
        return None
    return value.shape[axis]


def _find_source(node: torch.fx.Node) -> str | None:
    """Name of the input whose elements, all of them, a node holds."""
    while node.op == "call_function" and getattr(node.target, "overloadpacket", None) in _KEEPING:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor) or value.dtype not in _INDEX_DTYPES:
            return None
        first = node.args[0]
        if not isinstance(first, torch.fx.Node):
            return None
        node = first
    return node.name if node.op == "placeholder" else None
