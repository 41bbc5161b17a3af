"""Describe any `torch.export` program for release: served as it is, gated on agreement with its own eager outputs."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from model_store.tensors import DTYPES, datatype_of
from training.release.capture import dynamic_shapes_of, input_values, output_values
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, TensorSpec

DEFAULT_MAX_ROWS = 64
DEFAULT_MARGIN = 0.02
NUM_RANDOM_ROWS = 512
RANDOM_RANGE = "floats standard normal, uint8 0 to 255, other integers and booleans 0 or 1"


@dataclass(frozen=True)
class Rows:
    """Input rows by name: for the gate, and for quantization (none if they are random)."""

    held_out: dict[str, np.ndarray]
    calibration: dict[str, np.ndarray] | None
    origin: str


def describe_user_program(
    path: Path, name: str, *, calibration: Path | None = None, max_rows: int | None = None, margin: float | None = None
) -> ReleaseSpec:
    """Describe a saved exported program.

    Raises:
        ValueError: the file is no exported program, an input or output is no tensor with dynamic rows, or the
            calibration file does not fit the inputs.
    """
    program = _load(path)
    max_rows = max_rows or _bound_of_rows(program) or DEFAULT_MAX_ROWS
    inputs, outputs = _describe_inputs(program), _describe_outputs(program)
    rows = read_rows(calibration, inputs) if calibration else _random_rows(program, inputs)
    module = _Flat(program)
    reference = run_all(module, [rows.held_out[tensor.name] for tensor in inputs], max_rows)
    score, metric, binary = choose_agreement(dict(zip((t.name for t in outputs), reference, strict=True)))
    return ReleaseSpec(
        name=name,
        description=f"exported program {path.name}",
        kind="tensor",
        programs={"main": _program_spec(program, module, inputs, rows, max_rows)},
        inputs=inputs,
        input_sets=(tuple(tensor.name for tensor in inputs),),
        outputs=outputs,
        held_out=HeldOut(inputs=rows.held_out, score=score, metric=metric, dataset=rows.origin, binary=binary),
        margin=DEFAULT_MARGIN if margin is None else margin,
        max_rows=max_rows,
    )


def choose_agreement(
    reference: Mapping[str, np.ndarray],
) -> tuple[Callable[[Mapping[str, np.ndarray]], np.ndarray], str, bool]:
    """Choose how agreement with reference outputs is scored; returns the score, its name and whether it is binary.

    One output of probabilities (rows of floats ≥ 0 that sum to 1): whether the most probable class is the same.
    Else: 1 − ‖y − r‖ / ‖r‖ per row for floats, the share of equal elements for others; the least of all outputs.
    """
    arrays = list(reference.values())
    if len(arrays) == 1 and _are_probabilities(arrays[0]):
        ((name, array),) = reference.items()
        best = array.argmax(1)
        return lambda outputs: (outputs[name].argmax(1) == best).astype(np.float64), "top-1 agreement", True

    def score(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.min([_closeness(outputs[name], array) for name, array in reference.items()], axis=0)

    return score, "agreement (1 − relative error)", False


def _are_probabilities(array: np.ndarray) -> bool:
    return (
        array.dtype.kind == "f"
        and array.ndim == 2
        and array.shape[1] > 1
        and bool((array >= 0).all())
        and bool(np.allclose(array.sum(1), 1, atol=1e-3))
    )


def _closeness(array: np.ndarray, reference: np.ndarray) -> np.ndarray:
    flat, wanted = array.reshape(len(array), -1), reference.reshape(len(reference), -1)
    if wanted.dtype.kind != "f":
        return (flat == wanted).mean(1)
    flat, wanted = flat.astype(np.float64), wanted.astype(np.float64)
    error, size = np.linalg.norm(flat - wanted, axis=1), np.linalg.norm(wanted, axis=1)
    relative = np.divide(error, size, out=(error > 0).astype(np.float64), where=size > 0)
    return 1 - np.clip(np.nan_to_num(relative, nan=1.0), 0, 1)


class _Flat(torch.nn.Module):
    """Call an exported program with flat positional tensors, whatever nesting it was exported with."""

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__()
        self.module = program.module(check_guards=False)
        self.in_spec = program.call_spec.in_spec

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        arguments, keywords = pytree.tree_unflatten(list(tensors), self.in_spec)
        return tuple(pytree.tree_leaves(self.module(*arguments, **keywords)))

    def eval(self) -> _Flat:
        """Do nothing: an exported program has its mode built in, and refuses to be asked for another."""
        return self


def _program_spec(
    program: ExportedProgram, module: _Flat, inputs: Sequence[TensorSpec], rows: Rows, max_rows: int
) -> ProgramSpec:
    num_rows = min(4, max_rows)
    return ProgramSpec(
        module=module,
        example_inputs=tuple(_first_rows(rows.held_out[tensor.name], num_rows) for tensor in inputs),
        dynamic_shapes=(dynamic_shapes_of(program, max_rows),),
        calibration=make_calibration(rows, inputs, max_rows),
    )


def make_calibration(
    rows: Rows, inputs: Sequence[TensorSpec], max_rows: int
) -> Callable[[], Iterable[tuple[torch.Tensor, ...]]] | None:
    """Make what yields batches for quantization; None if there are no real rows."""
    if rows.calibration is None:
        return None
    arrays = [rows.calibration[tensor.name] for tensor in inputs]

    def calibrate() -> Iterable[tuple[torch.Tensor, ...]]:
        step = min(32, max_rows)
        for start in range(0, len(arrays[0]), step):
            yield tuple(torch.from_numpy(array[start : start + step].copy()) for array in arrays)

    return calibrate


def _first_rows(array: np.ndarray, num_rows: int) -> torch.Tensor:
    return torch.from_numpy(array[np.arange(num_rows) % len(array)].copy())


def _load(path: Path) -> ExportedProgram:
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; save a program there: torch.export.save(torch.export.export(...), {str(path)!r})"
        )
    refusal = f"{path} is not a program saved by torch.export.save of torch {torch.__version__}"
    if not zipfile.is_zipfile(path):
        raise ValueError(refusal)
    try:
        return torch.export.load(path)
    except Exception as error:
        raise ValueError(f"{refusal}: {error}") from error


def _bound_of_rows(program: ExportedProgram) -> int | None:
    size = input_values(program)[0].shape[0]
    if isinstance(size, int):
        return None
    bounds = program.range_constraints.get(size.node.expr)
    return int(bounds.upper) if bounds is not None and bounds.upper.is_finite and bounds.upper <= 4096 else None


def _describe_inputs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
    values = input_values(program)
    if not values:
        raise ValueError("the program has no inputs")
    names = [str(name) for name in program.graph_signature.user_inputs]
    for name, value in zip(names, values, strict=True):
        if value.dim() == 0 or isinstance(value.shape[0], int):
            raise ValueError(
                f"input {name!r} has the fixed shape {list(value.shape)}: its first dimension must be the rows; "
                "export it with dynamic_shapes={0: torch.export.Dim('rows', min=1, max=64)} for each input"
            )
    return tuple(_tensor_spec(name, value, "input") for name, value in zip(names, values, strict=True))


def _describe_outputs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
    values = output_values(program)
    rows = str(input_values(program)[0].shape[0])
    for index, value in enumerate(values):
        if value.dim() == 0 or str(value.shape[0]) != rows:
            raise ValueError(
                f"output {index} has the shape {list(value.shape)}: its first dimension must be the rows ({rows}), "
                "one row for each input row"
            )
    return tuple(
        _tensor_spec(name, value, "output") for name, value in zip(_output_names(program), values, strict=True)
    )


def _output_names(program: ExportedProgram) -> list[str]:
    spec = program.call_spec.out_spec
    if spec is not None and spec.type is dict and all(child.is_leaf() for child in spec.children()):
        return [str(key) for key in spec.context]
    count = len(program.graph_signature.user_outputs)
    return ["output"] if count == 1 else [f"output_{index}" for index in range(count)]


def _tensor_spec(name: str, value: torch.Tensor, kind: str) -> TensorSpec:
    try:
        datatype = datatype_of(np.empty(0, str(value.dtype).removeprefix("torch.")))
    except (TypeError, ValueError):
        raise ValueError(
            f"{kind} {name!r} is {value.dtype}, which the Open Inference Protocol cannot carry; "
            "convert it inside the program"
        ) from None
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(name=name, datatype=datatype, shape=shape, meaning=f"{kind} {name} of the program")


def read_rows(path: Path, inputs: Sequence[TensorSpec]) -> Rows:
    """Read rows of a program's inputs and split them between quantization and gate.

    Raises:
        ValueError: they do not fit the inputs.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    names = [tensor.name for tensor in inputs]
    if sorted(arrays) != sorted(names):
        raise ValueError(f"{path} holds {sorted(arrays)}, the program's inputs are {names}")
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1 or counts.pop() < 4:
        raise ValueError(f"{path}: every array needs the same number of rows, 4 or more")
    for tensor in inputs:
        array = arrays[tensor.name]
        fits = array.ndim == len(tensor.shape) and all(
            want in (-1, size) for want, size in zip(tensor.shape, array.shape, strict=True)
        )
        if not fits or array.dtype != DTYPES[tensor.datatype]:
            raise ValueError(
                f"{path}: {tensor.name} is {array.dtype} {list(array.shape)}, the program takes "
                f"{DTYPES[tensor.datatype]} {list(tensor.shape)}"
            )
    return Rows(
        held_out={name: array[1::2] for name, array in arrays.items()},
        calibration={name: array[::2] for name, array in arrays.items()},
        origin=f"every second row of {path.name}",
    )


def _random_rows(program: ExportedProgram, inputs: Sequence[TensorSpec]) -> Rows:
    generator = np.random.default_rng(0)
    examples = pytree.tree_leaves(program.example_inputs) if program.example_inputs is not None else []
    rows = {}
    for index, tensor in enumerate(inputs):
        sizes: list[Any] = list(tensor.shape[1:])
        if -1 in sizes:
            if index >= len(examples):
                raise ValueError(
                    f"input {tensor.name!r} has free dimensions {list(tensor.shape)}: give rows with --calibration"
                )
            sizes = list(examples[index].shape[1:])
        rows[tensor.name] = draw_array(generator, DTYPES[tensor.datatype], (NUM_RANDOM_ROWS, *sizes))
    return Rows(held_out=rows, calibration=None, origin=f"{NUM_RANDOM_ROWS} random rows ({RANDOM_RANGE})")


def draw_array(generator: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Draw random values as RANDOM_RANGE says."""
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 256 if dtype == np.uint8 else 2, shape).astype(dtype)


def run_all(module: torch.nn.Module, arrays: Sequence[np.ndarray], max_rows: int) -> list[np.ndarray]:
    """Run a program on all rows, in batches."""
    pieces = []
    with torch.no_grad():
        for start in range(0, len(arrays[0]), min(32, max_rows)):
            rows = [torch.from_numpy(array[start : start + min(32, max_rows)].copy()) for array in arrays]
            pieces.append([output.numpy() for output in module(*rows)])
    return [np.concatenate(column) for column in zip(*pieces, strict=True)]
