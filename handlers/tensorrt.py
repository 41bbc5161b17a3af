"""Programs that onnxruntime runs by TensorRT on a GPU, and by its CUDA kernels where TensorRT has no form of a node.

An engine takes minutes to build. It is built when its program is released, is what the gate judges, and lies beside the
program in the archive, so that a worker reads it; `tensorrt.json` has the options under which it is found again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OPTIONS_NAME = "tensorrt.json"
TENSORRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"


def list_providers(program: Path, device_name: str) -> list[tuple[str, dict[str, Any]]]:
    """List who runs a program on `cuda` or `cuda:N`, first who is asked first, each with its options.

    Raises:
        FileNotFoundError: it was not released for TensorRT.
    """
    _, _, number = device_name.partition(":")
    device = {"device_id": int(number or 0)}
    built_with = json.loads((program.parent / OPTIONS_NAME).read_text())
    cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(program.parent)}
    return [(TENSORRT, {**built_with, **cache, **device}), (CUDA, device)]


def check_provider(providers: list[str]) -> None:
    """Refuse a session that runs elsewhere than on TensorRT: onnxruntime itself takes the next provider without a word.

    Raises:
        RuntimeError: this machine's onnxruntime or TensorRT lacks something; says what runs instead.
    """
    if TENSORRT not in providers:
        raise RuntimeError(
            f"this program was released for TensorRT, and onnxruntime runs it by {', '.join(providers)} here; install "
            "onnxruntime-gpu and TensorRT as where it was released, or serve another variant"
        )
