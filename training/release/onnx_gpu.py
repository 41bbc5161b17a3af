"""`onnx` and `tensorrt` on GPUs: a program as ONNX, which onnxruntime runs there by its CUDA kernels or by TensorRT.

The first is bound to no GPU's architecture. TensorRT's engines, of half precision, are built on this GPU.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from handlers.device import OnnxGpu
from handlers.onnx_providers import OPTIONS_NAME, ProviderMissingError
from handlers.program import load_program
from training.release.capture import find_bounds, input_values
from training.release.left_out import LeftOutError
from training.release.onnx_export import export_onnx


def check_built_with(provider: str) -> None:
    """Pass where onnxruntime was built with what runs programs on a GPU.

    Raises:
        LeftOutError: it was not.
    """
    there = onnxruntime.get_available_providers()
    if provider not in there:
        name = provider.removesuffix("ExecutionProvider")
        raise LeftOutError(f"this onnxruntime has no {name}, only {', '.join(there)}")


def export_for_gpu(program: ExportedProgram, path: Path, device_name: str) -> Path:
    """Write a program as ONNX to `path`, once this GPU is seen to run it.

    Raises:
        LeftOutError: it has no ONNX form, or onnxruntime lacks a library that it was built for.
    """
    export_onnx(move_to_device_pass(program, "cpu"), path)
    _try_to_load(path, device_name)
    return path


def build_engines(program: ExportedProgram, path: Path, device_name: str) -> Path:
    """Write a program as ONNX to `path`, and its engines and the options that find them beside it.

    Raises:
        LeftOutError: it has no ONNX form, a size without a bound, or onnxruntime lacks TensorRT's libraries.
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
    _try_to_load(path, device_name)
    return path


def _try_to_load(path: Path, device_name: str) -> None:
    """Load a program as a worker will: what onnxruntime was built with may still not start for want of a library."""
    try:
        load_program(path, OnnxGpu(device_name))
    except ProviderMissingError as error:
        raise LeftOutError(str(error)) from error


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
