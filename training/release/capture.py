"""Capture networks as exported programs, and read what an exported program tells about itself."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from training.release.left_out import LeftOutError
from training.release.spec import ProgramSpec


def capture(program: ProgramSpec, device: torch.device) -> ExportedProgram:
    """Export a network in evaluation mode on a device; rows stay dynamic.

    Raises:
        torch._dynamo.exc.UserError: the network cannot be captured, or fixes its row count.
    """
    module = program.module.to(device).eval()
    _normalize_layouts(module)
    # Contiguous as handlers send them; of their own, since a view would be saved with all that it is a view of.
    inputs = tuple(tensor.to(device).clone(memory_format=torch.contiguous_format) for tensor in program.example_inputs)
    with torch.no_grad():
        return torch.export.export(module, inputs, dynamic_shapes=program.dynamic_shapes)


def _normalize_layouts(module: torch.nn.Module) -> None:
    """Give weights a storage of their own and the strides that their shape implies.

    A channels-last weight with one input channel counts as contiguous, but has other strides; AOTInductor's freezing
    then packs it in the wrong order, and the program computes nonsense (torch 2.13). A view would be saved with all
    that it is a view of.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        data = tensor.data
        if data.is_contiguous() and data.stride() != torch.empty(data.shape, device="meta").stride():
            tensor.data = data.clone(memory_format=torch.contiguous_format)
        elif data.untyped_storage().nbytes() != data.nbytes:
            tensor.data = data.clone()


def capture_again(
    module: torch.nn.Module, program: ExportedProgram, inputs: tuple[torch.Tensor, ...] = ()
) -> ExportedProgram:
    """Export a changed form of a program, `module`, with its dynamic sizes and example inputs, or others if given."""
    assert program.example_inputs is not None
    with torch.no_grad():
        shapes = (dynamic_shapes_of(program),)
        return torch.export.export(_Positional(module), inputs or program.example_inputs[0], dynamic_shapes=shapes)


def leave_bounds(program: ExportedProgram) -> ExportedProgram:
    """Export a program again with smaller example inputs, where one is as large as its free size may become.

    Inductor fixes such a size (torch 2.13): a quantized convolution compiled with 16 rows of at most 16 answered one
    row wrong, and said nothing.

    Raises:
        LeftOutError: a size of at most 2 cannot be made smaller, since torch fixes a size of 1 too.
    """
    assert program.example_inputs is not None
    examples, is_at_bound = [], False
    for example, value in zip(program.example_inputs[0], input_values(program), strict=True):
        for axis, size in enumerate(value.shape):
            if isinstance(size, int) or example.shape[axis] != (bound := find_bounds(program, size)[1]):
                continue
            if bound <= 2:
                raise LeftOutError(
                    f"torch's compiler would fix size {axis} of an input at its bound, {bound}; allow 3 or more"
                )
            example, is_at_bound = example.narrow(axis, 0, bound - 1).contiguous(), True
        examples.append(example)
    return capture_again(program.module(check_guards=False), program, tuple(examples)) if is_at_bound else program


class _Positional(torch.nn.Module):
    """Give a module one signature, `*inputs`, whatever its own: dynamic shapes are nested as the signature is."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.module(*inputs)


def input_values(program: ExportedProgram) -> list[torch.Tensor]:
    """The program's inputs as fake tensors: shape (dynamic sizes are symbolic), dtype and device of each, in order."""
    names = program.graph_signature.user_inputs
    placeholders = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    values = [placeholders.get(name) for name in names if isinstance(name, str)]
    if len(values) != len(names) or not all(isinstance(value, torch.Tensor) for value in values):
        raise ValueError(f"every input of the program must be a tensor; its inputs are {list(names)}")
    return [value for value in values if isinstance(value, torch.Tensor)]


def output_values(program: ExportedProgram) -> list[torch.Tensor]:
    """The program's outputs as fake tensors, in order."""
    names = program.graph_signature.user_outputs
    nodes = {node.name: node.meta.get("val") for node in program.graph.nodes}
    values = [nodes.get(name) for name in names if isinstance(name, str)]
    if len(values) != len(names) or not all(isinstance(value, torch.Tensor) for value in values):
        raise ValueError(f"every output of the program must be a tensor; its outputs are {list(names)}")
    return [value for value in values if isinstance(value, torch.Tensor)]


def dynamic_shapes_of(program: ExportedProgram, max_rows: int | None = None) -> tuple[dict[int, Any], ...]:
    """Describe the dynamic sizes of a program's inputs, for exporting it again after a change.

    Sizes with the same symbol stay equal; `max_rows` bounds the first dimension anew, from 1.
    """
    dims: dict[str, Any] = {}
    shapes = []
    for value in input_values(program):
        shape: dict[int, Any] = {}
        for axis, size in enumerate(value.shape):
            if isinstance(size, int):
                continue
            symbol = str(size)
            if symbol not in dims:
                dims[symbol] = _dimension(program, size, len(dims), max_rows if axis == 0 else None)
            shape[axis] = dims[symbol]
        shapes.append(shape)
    return tuple(shapes)


def _dimension(program: ExportedProgram, size: Any, index: int, max_rows: int | None) -> Any:
    if max_rows is not None:
        return Dim(f"rows{index}", min=1, max=max_rows)
    lower, upper = find_bounds(program, size)
    return Dim(f"size{index}", min=lower, max=upper)


def find_bounds(program: ExportedProgram, size: Any) -> tuple[int, int | None]:
    """The least that a free size of a program may be, and the most; None: it has no bound."""
    bounds = program.range_constraints.get(size.node.expr)
    if bounds is None:
        return 1, None
    # torch's infinity counts as finite, but is no integer.
    return max(1, int(bounds.lower)), int(bounds.upper) if bounds.upper.is_Integer else None
