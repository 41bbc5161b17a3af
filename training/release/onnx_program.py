"""An ONNX file of a user's own: run by onnxruntime as it is, which can run no code of the file's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handlers.device import Cpu
from handlers.program import load_program
from training.release.rows import draw_rows, first_rows, make_calibration, read_rows
from training.release.spec import HeldOut, ProgramSpec, ReleaseSpec, TensorSpec
from training.release.user_program import DEFAULT_MARGIN, DEFAULT_MAX_ROWS
from training.release.value_ranges import Range

SUFFIX = ".onnx"
# onnx.TensorProto's numbers of the element types that the Open Inference Protocol can carry.
_DATATYPES = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
}


def describe_onnx_program(
    path: Path,
    name: str,
    *,
    calibration: Path | None = None,
    max_rows: int | None = None,
    margin: float | None = None,
    ranges: Mapping[str, Range] | None = None,
) -> ReleaseSpec:
    """Describe an ONNX file for release: served as it is, gated on agreement with its own outputs.

    Raises:
        ValueError: no such file, an input or output is no tensor with free rows, or ranges or rows do not fit.
    """
    inputs, outputs = read_interface(path)
    inputs = _bound_values(inputs, ranges or {})
    network = OnnxNetwork(path)
    max_rows = max_rows or DEFAULT_MAX_ROWS
    rows = read_rows(calibration, inputs) if calibration else draw_rows(inputs)
    first = first_rows(rows.held_out, 2)
    examples = tuple(torch.from_numpy(first[tensor.name]) for tensor in inputs)
    for output, tensor in zip(outputs, network(*examples), strict=True):
        if len(tensor) != len(examples[0]):
            raise ValueError(
                f"output {output.name!r} has {len(tensor)} rows for {len(examples[0])} input rows, not as many"
            )
    program = ProgramSpec(
        module=network,
        example_inputs=examples,
        dynamic_shapes=None,
        calibration=make_calibration(rows, inputs, max_rows),
    )
    return ReleaseSpec(
        name=name,
        description=f"ONNX program {path.name}",
        kind="tensor",
        programs={"main": program},
        inputs=inputs,
        input_sets=(tuple(tensor.name for tensor in inputs),),
        outputs=outputs,
        held_out=HeldOut(inputs=rows.held_out, score=None, metric="agreement", dataset=rows.origin),
        margin=DEFAULT_MARGIN if margin is None else margin,
        max_rows=max_rows,
    )


class OnnxNetwork(nn.Module):
    """An ONNX file in the place of a network: it is run by onnxruntime on the CPU, and released without capturing."""

    def __init__(self, path: Path) -> None:
        """Load the file.

        Raises:
            ValueError: onnxruntime refuses it.
        """
        super().__init__()
        self.path = path
        try:
            self._run = load_program(path, Cpu())
        except Exception as error:  # onnxruntime has a class of its own for each of its statuses
            raise ValueError(f"onnxruntime cannot load {path}: {error}") from error

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(array) for array in self._run([tensor.numpy() for tensor in tensors]))


def read_interface(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Read inputs and outputs of an ONNX file; free sizes are −1.

    Raises:
        ValueError: no ONNX file, weights in other files, or a value that is no tensor whose first dimension is free.
    """
    import onnx

    if not path.is_file():
        raise ValueError(f"{path} does not exist; write an ONNX file there, for example with torch.onnx.export")
    try:
        model = onnx.load(path, load_external_data=False)
        is_whole = not any(tensor.external_data for tensor in model.graph.initializer)
        if is_whole:
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf, checker and file system each have errors of their own
        raise ValueError(f"{path} is no valid ONNX file: {error}") from error
    if not is_whole:
        raise ValueError(f"{path} keeps weights in other files; save it as one: onnx.save(onnx.load(IN), OUT)")
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if not inputs:
        raise ValueError(f"{path} has no inputs")
    return _describe("input", inputs), _describe("output", model.graph.output)


def _describe(side: str, values: Sequence[Any]) -> tuple[TensorSpec, ...]:
    return tuple(_describe_one(side, value) for value in values)


def _describe_one(side: str, value: Any) -> TensorSpec:
    kind = value.type.tensor_type
    datatype = _DATATYPES.get(kind.elem_type)
    if not value.type.HasField("tensor_type") or datatype is None:
        raise ValueError(
            f"{side} {value.name!r} is no tensor of numbers that the Open Inference Protocol can carry; convert it "
            "inside the program"
        )
    shape = [size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim]
    if not shape or shape[0] != -1:
        raise ValueError(
            f"{side} {value.name!r} has the fixed shape {shape}: its first dimension must be the rows, and free; "
            "write the file with a dynamic first dimension"
        )
    return TensorSpec(name=value.name, datatype=datatype, shape=tuple(shape), meaning=f"{side} {value.name}")


def _bound_values(inputs: Sequence[TensorSpec], ranges: Mapping[str, Range]) -> tuple[TensorSpec, ...]:
    names = [tensor.name for tensor in inputs]
    unknown = sorted(set(ranges) - set(names))
    if unknown:
        raise ValueError(f"a range is given for {unknown[0]!r}; the program's inputs are {', '.join(names)}")
    bounds = [ranges.get(name, (None, None)) for name in names]
    return tuple(
        dataclasses.replace(tensor, minimum=low, maximum=high)
        for tensor, (low, high) in zip(inputs, bounds, strict=True)
    )
