"""Describe any `torch.export` program for release: served as it is, gated on agreement with its own eager outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass
from torch.utils import _pytree as pytree

from training.release.capture import dynamic_shapes_of
from training.release.interface import bound_of_rows, describe_inputs, describe_outputs
from training.release.program_file import load_program_file
from training.release.rows import Rows, draw_rows, first_rows, make_calibration, read_rows
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, TensorSpec
from training.release.training_mode import refuse_training_mode
from training.release.value_ranges import Range, derive_ranges, join_ranges

DEFAULT_MAX_ROWS = 64
DEFAULT_MARGIN = 0.02
_MOST_ROWS = 4096  # a bound above it says how many rows the program could take, not how many a batch should have


def describe_user_program(
    path: Path,
    name: str,
    *,
    calibration: Path | None = None,
    max_rows: int | None = None,
    margin: float | None = None,
    ranges: Mapping[str, Range] | None = None,
    is_trusted: bool = False,
) -> ReleaseSpec:
    """Describe a saved exported program; `ranges` are of its inputs' values.

    Raises:
        ValueError: the file is no exported program or might run code, the program is in training mode, an input or
            output is no tensor with dynamic rows, or ranges or calibration rows do not fit the inputs.
    """
    program = load_program_file(path, is_trusted=is_trusted)
    refuse_training_mode(program)
    bound = bound_of_rows(program)
    if max_rows is not None and bound is not None and max_rows > bound:
        raise ValueError(f"--max-rows is {max_rows}, the program was exported for at most {bound} rows")
    if max_rows is None:
        max_rows = bound if bound is not None and bound <= _MOST_ROWS else DEFAULT_MAX_ROWS
    inputs = describe_inputs(program, join_ranges(derive_ranges(program), ranges or {}))
    outputs = describe_outputs(program)
    examples = pytree.tree_leaves(program.example_inputs) if program.example_inputs is not None else []
    rows = read_rows(calibration, inputs) if calibration else draw_rows(inputs, examples)
    return ReleaseSpec(
        name=name,
        description=f"exported program {path.name}",
        kind="tensor",
        programs={"main": _program_spec(program, inputs, rows, max_rows)},
        inputs=inputs,
        input_sets=(tuple(tensor.name for tensor in inputs),),
        outputs=outputs,
        held_out=HeldOut(inputs=rows.held_out, score=None, metric="agreement", dataset=rows.origin),
        margin=DEFAULT_MARGIN if margin is None else margin,
        max_rows=max_rows,
    )


class _Flat(torch.nn.Module):
    """Call an exported program with flat positional tensors, whatever nesting it was exported with."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.program = program
        self.module = program.module(check_guards=False)
        self.in_spec = program.call_spec.in_spec

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        arguments, keywords = pytree.tree_unflatten(list(tensors), self.in_spec)
        return tuple(pytree.tree_leaves(self.module(*arguments, **keywords)))

    def to(self, device: torch.device) -> _Flat:  # type: ignore[override]
        """Move weights, and the devices that an exported program has built in, which nn.Module does not know of."""
        self.module = move_to_device_pass(self.program, device).module(check_guards=False)
        return self

    def eval(self) -> _Flat:
        """Do nothing: an exported program has its mode built in, and refuses to be asked for another."""
        return self


def _program_spec(program: ExportedProgram, inputs: Sequence[TensorSpec], rows: Rows, max_rows: int) -> ProgramSpec:
    num_rows = max(2, min(4, max_rows))  # torch.export would take one row for a constant
    examples = first_rows(rows.held_out, num_rows)
    return ProgramSpec(
        module=_Flat(program),
        example_inputs=tuple(torch.from_numpy(examples[tensor.name]) for tensor in inputs),
        dynamic_shapes=(dynamic_shapes_of(program, max(max_rows, num_rows)),),
        calibration=make_calibration(rows, inputs, max_rows),
    )
