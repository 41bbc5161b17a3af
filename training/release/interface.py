"""What an exported program tells about its inputs and outputs: names, datatypes, shapes and the sizes it allows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.export import ExportedProgram

from model_store.tensors import datatype_of
from training.release.capture import input_values, output_values
from training.release.spec import SizeRangeSpec, TensorSpec
from training.release.value_ranges import Range


def describe_inputs(program: ExportedProgram, ranges: Mapping[str, Range]) -> tuple[TensorSpec, ...]:
    """Describe the inputs, with the given ranges of their values.

    Raises:
        ValueError: an input has no dynamic rows, or a range names an input that does not exist.
    """
    values = input_values(program)
    if not values:
        raise ValueError("the program has no inputs")
    names = [str(name) for name in program.graph_signature.user_inputs]
    unknown = sorted(set(ranges) - set(names))
    if unknown:
        raise ValueError(f"a range is given for {unknown[0]!r}; the program's inputs are {', '.join(names)}")
    for name, value in zip(names, values, strict=True):
        if value.dim() == 0 or isinstance(value.shape[0], int):
            raise ValueError(
                f"input {name!r} has the fixed shape {list(value.shape)}: its first dimension must be the rows; "
                "export it with dynamic_shapes={0: torch.export.Dim('rows', min=1, max=64)} for each input"
            )
    return tuple(
        _describe(name, value, "input", ranges.get(name, (None, None)), _size_ranges(program, name, value))
        for name, value in zip(names, values, strict=True)
    )


def describe_outputs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
    """Describe the outputs.

    Raises:
        ValueError: an output has not as many rows as the inputs.
    """
    values = output_values(program)
    rows = str(input_values(program)[0].shape[0])
    for index, value in enumerate(values):
        if value.dim() == 0 or str(value.shape[0]) != rows:
            raise ValueError(
                f"output {index} has the shape {list(value.shape)}: its first dimension must be the rows ({rows}), "
                "one row for each input row"
            )
    return tuple(_describe(name, value, "output") for name, value in zip(_output_names(program), values, strict=True))


def bound_of_rows(program: ExportedProgram) -> int | None:
    """The most rows that the program was exported for; None if it says nothing."""
    size = input_values(program)[0].shape[0]
    if isinstance(size, int):
        return None
    bounds = program.range_constraints.get(size.node.expr)
    return int(bounds.upper) if bounds is not None and bounds.upper.is_finite else None


def _output_names(program: ExportedProgram) -> list[str]:
    spec = program.call_spec.out_spec
    if spec is not None and spec.type is dict and all(child.is_leaf() for child in spec.children()):
        return [str(key) for key in spec.context]
    count = len(program.graph_signature.user_outputs)
    return ["output"] if count == 1 else [f"output_{index}" for index in range(count)]


def _size_ranges(program: ExportedProgram, name: str, value: torch.Tensor) -> tuple[SizeRangeSpec, ...]:
    """What the free dimensions may be; those that the program takes for one size carry one name."""
    found: list[SizeRangeSpec] = []
    for axis, size in enumerate(value.shape):
        if axis == 0 or isinstance(size, int):
            continue
        symbol = size.node.expr
        if not symbol.is_symbol:
            raise ValueError(
                f"dimension {axis} of input {name!r} was exported as {symbol}, which no manifest can say; "
                "export it as a torch.export.Dim of its own"
            )
        bounds = program.range_constraints.get(symbol)
        low = max(int(bounds.lower), 1) if bounds is not None else 1
        high = int(bounds.upper) if bounds is not None and bounds.upper.is_finite else None
        found.append(SizeRangeSpec(axis=axis, minimum=low, maximum=high, name=str(symbol)))
    return tuple(found)


def _describe(
    name: str,
    value: torch.Tensor,
    kind: str,
    values: Range = (None, None),
    size_ranges: tuple[SizeRangeSpec, ...] = (),
) -> TensorSpec:
    try:
        datatype = datatype_of(np.empty(0, str(value.dtype).removeprefix("torch.")))
    except (TypeError, ValueError):
        raise ValueError(
            f"{kind} {name!r} is {value.dtype}, which the Open Inference Protocol cannot carry; "
            "convert it inside the program"
        ) from None
    low, high = values
    return TensorSpec(
        name=name,
        datatype=datatype,
        shape=tuple(size if isinstance(size, int) else -1 for size in value.shape),
        meaning=f"{kind} {name} of the program",
        minimum=low,
        maximum=high,
        size_ranges=size_ranges,
    )
