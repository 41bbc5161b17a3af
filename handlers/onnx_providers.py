"""Programs that onnxruntime runs on a GPU: by its CUDA kernels, or by TensorRT and these where TensorRT has no form.

TensorRT's engine takes minutes to build. It is built when its program is released, is what the gate judges, and lies
beside the program in the archive, so that a worker reads it; `tensorrt.json` has the options under which it is found
again. A program without that file is for CUDA's kernels alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OPTIONS_NAME = "tensorrt.json"
TENSORRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"


class ProviderMissingError(RuntimeError):
    """What was to run a program on the GPU did not start: this machine's onnxruntime lacks it, or its libraries."""


def list_providers(program: Path, device_name: str) -> list[tuple[str, dict[str, Any]]]:
    """List who runs a program on `cuda` or `cuda:N`, first who is asked first, each with its options."""
    _, _, number = device_name.partition(":")
    device = {"device_id": int(number or 0)}
    options = program.parent / OPTIONS_NAME
    if not options.exists():
        return [(CUDA, device)]
    cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(program.parent)}
    return [(TENSORRT, {**json.loads(options.read_text()), **cache, **device}), (CUDA, device)]


def check_provider(wanted: str, there: Sequence[str]) -> None:
    """Refuse a session that runs elsewhere than it was released for: onnxruntime takes the next without a word.

    Raises:
        ProviderMissingError: says what runs instead.
    """
    if wanted not in there:
        name = wanted.removesuffix("ExecutionProvider")
        raise ProviderMissingError(
            f"this program is for onnxruntime's {name}, and runs by {', '.join(there)} here; install "
            "onnxruntime-gpu and the libraries of CUDA and TensorRT as where it was made, or take another variant"
        )
