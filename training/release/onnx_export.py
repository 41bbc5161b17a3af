"""A captured program as an ONNX file, which onnxruntime runs on every CPU."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import torch
from torch.export import ExportedProgram
from torch.onnx._internal.exporter._decomp import (
    create_onnx_friendly_decomposition_table,
    get_onnx_implemented_overloads,
)
from torch.onnx._internal.exporter._registration import ONNXRegistry

from training.release.capture import input_values, output_values
from training.release.left_out import LeftOutError
from training.release.onnx_sums import multiply_sums

_OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)'")


def export_onnx(program: ExportedProgram, path: Path) -> Path:
    """Write a program as one file, its weights inside; sizes that are free in the program are free in the file.

    Raises:
        LeftOutError: something in the program cannot be said in ONNX.
    """
    if unknown := _find_unknown_operator(program):
        raise LeftOutError(f"ONNX has no form of {unknown}")
    try:
        exported = torch.onnx.export(program, dynamo=True, verbose=False, external_data=False)
    except torch.onnx.OnnxExporterError as error:
        raise LeftOutError(_explain(error)) from error
    assert exported is not None
    graph = exported.model.graph
    found, expected = (
        [len(values) for values in sides]
        for sides in (
            (graph.inputs, graph.outputs),
            (input_values(program), output_values(program)),
        )
    )
    if found != expected:
        raise LeftOutError(f"its ONNX form has {found[0]} inputs and {found[1]} outputs instead of {expected}")
    model = exported.model_proto
    multiply_sums(model)
    onnx.save(model, path)
    return path


def _find_unknown_operator(program: ExportedProgram) -> str:
    """Name the first operator that neither has an ONNX form nor is taken apart into others; '' if there is none.

    The exporter says the same, but of the beamformer only after forty seconds: it takes all others apart before. What
    returns nothing only checks, and is left out of the file.
    """
    implemented = set(get_onnx_implemented_overloads(ONNXRegistry.from_torchlib()))
    known = implemented | create_onnx_friendly_decomposition_table(implemented).keys()
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            operator = node.target
            if not isinstance(operator, torch._ops.OpOverload) or not operator._schema.returns:
                continue
            if operator not in known and not _is_composite(operator):
                return str(operator).removesuffix(".default")
    return ""


def _is_composite(operator: torch._ops.OpOverload) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), "CompositeImplicitAutograd")


def _explain(error: BaseException) -> str:
    """Name the operator that has no ONNX form, or say the exporter's own first line."""
    cause: BaseException | None = error
    while cause is not None:
        found = _OPERATOR.search(str(cause))
        if found:
            return f"ONNX has no form of {found[1]}"
        cause = cause.__cause__
    return f"it cannot be written as ONNX: {str(error).splitlines()[0]}"
