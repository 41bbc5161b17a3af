"""`tensorrt`: a program as ONNX, with engines of half precision that onnxruntime's TensorRT builds on this GPU."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from handlers.device import OnnxGpu
from handlers.program import load_program
from handlers.tensorrt import OPTIONS_NAME, TENSORRT
from training.release.capture import find_bounds, input_values
from training.release.left_out import LeftOutError
from training.release.onnx_export import export_onnx


def check_tensorrt() -> None:
    """Pass where onnxruntime has TensorRT.

    Raises:
        LeftOutError: it has not, or is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise LeftOutError("onnxruntime is not installed") from None
    there = onnxruntime.get_available_providers()
    if TENSORRT not in there:
        raise LeftOutError(f"this onnxruntime has no TensorRT, only {', '.join(there)}")


def build_engines(program: ExportedProgram, path: Path, device_name: str) -> Path:
    """Write a program as ONNX to `path`, and its engines and the options that find them beside it.

    Raises:
        LeftOutError: it has no ONNX form, or a size without a bound.
    """
    sizes = [_bound_sizes(program, value) for value in input_values(program)]
    export_onnx(move_to_device_pass(program, "cpu"), path)
    names = [value.name for value in onnx.load(path).graph.input]
    least, most = (
        ",".join(f"{name}:{'x'.join(map(str, bounds))}" for name, bounds in zip(names, ends, strict=True))
        for ends in zip(*sizes, strict=True)
    )
    options = {
        "trt_fp16_enable": True,
        # Outside of these sizes an engine would be built anew.
        "trt_profile_min_shapes": least,
        "trt_profile_opt_shapes": most,
        "trt_profile_max_shapes": most,
    }
    (path.parent / OPTIONS_NAME).write_text(json.dumps(options, indent=2))
    load_program(path, OnnxGpu(device_name))
    return path


def _bound_sizes(program: ExportedProgram, value: torch.Tensor) -> tuple[list[int], list[int]]:
    """The least and the largest sizes of an input."""
    least, most = [], []
    for size in value.shape:
        if isinstance(size, int):
            least.append(size)
            most.append(size)
            continue
        lower, upper = find_bounds(program, size)
        if upper is None:
            raise LeftOutError("TensorRT needs a bound for every free size; export it with Dim(…, max=…)")
        least.append(lower)
        most.append(upper)
    return least, most
