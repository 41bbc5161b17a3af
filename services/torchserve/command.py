"""The command and the environment that TorchServe is started with."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from host.cpu import count_cores
from host.threads import share_cores
from services.catalogue import ServedVariant
from services.torchserve import fork_client, fork_server
from services.torchserve.run_folder import RunFolder


class StartError(RuntimeError):
    """TorchServe or one of its workers did not start; the message holds what they said."""


def build_command(java: Path, folder: RunFolder, shared_modules: Sequence[str] | None, java_heap_mib: int) -> list[str]:
    """Build the command that starts TorchServe's Java process, without its Python launcher and its pid file.

    With modules to share its workers are forked, see fork_server.py; this writes what Java then starts in the place of
    Python.

    Raises:
        StartError: TorchServe is not installed.
    """
    if shared_modules is None:
        return _java_command(java, folder, Path(sys.executable), java_heap_mib)
    client = " ".join(map(shlex.quote, (sys.executable, "-I", "-S", fork_client.__file__, str(folder.fork_socket))))
    folder.python.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    folder.python.chmod(0o700)
    return [
        *(sys.executable, "-I", "-u", fork_server.__file__, str(folder.fork_socket)),
        ",".join(shared_modules),
        *_java_command(java, folder, folder.python, java_heap_mib),
    ]


def list_shared_modules(variants: Sequence[ServedVariant]) -> tuple[str, ...] | None:
    """List what all workers import, and what programs of each kind need besides; None where nothing is forked."""
    if any(variant.manifest.target.device != "cpu" for variant in variants):
        return None
    needs_torch = any(variant.manifest.target.torch_version for variant in variants)
    suffixes = {Path(program).suffix for variant in variants for program in variant.manifest.programs.values()}
    modules = ["torch" if needs_torch else "host.deferred_torch", "numpy"]
    modules += ["ts.model_service_worker", "google.protobuf.descriptor_pool"]
    if ".onnx" in suffixes:
        modules.append("onnxruntime")
    if ".pt2" in suffixes:
        modules += ["sympy", "networkx", "torch._export.serde.serialize", "torch.export.unflatten"]
    return tuple(modules)


def _java_command(java: Path, folder: RunFolder, python: Path, java_heap_mib: int) -> list[str]:
    specification = importlib.util.find_spec("ts")
    if specification is None or not specification.submodule_search_locations:
        raise StartError("torchserve is not installed; run `uv sync --group serve`")
    home = Path(specification.submodule_search_locations[0]).parent
    return [
        str(java),
        # By default a heap starts with a 64th of the machine's memory, all of which is used before it is collected.
        *("-Xms32m", f"-Xmx{java_heap_mib}m"),
        # With few cores the parallel collectors and the common pool cost more than they give: on 2 cores the pool is
        # replaced by a new thread for every call (0.41 against 0.25 ms a call).
        "-XX:+UseSerialGC",
        f"-Djava.util.concurrent.ForkJoinPool.common.parallelism={max(2, count_cores())}",
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={folder.temporary}",
        f"-Dlog4j.configurationFile=file://{folder.logging}",
        *("-cp", f"{home}/ts/frontend/*", "org.pytorch.serve.ModelServer"),
        *("--python", str(python), "-f", str(folder.configuration), "-s", str(folder.models), "-ncs"),
    ]


def build_environment(threads_per_worker: int, folder: RunFolder) -> dict[str, str]:
    """Build the environment of TorchServe and its workers: ours, without what would change their behaviour."""
    dropped = ("PYTHONPATH", "TS_CONFIG_FILE", "TS_OPEN_INFERENCE_PROTOCOL", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if not all(part.strip().isdecimal() for part in visible.split(",") if part):
        raise StartError(f"CUDA_VISIBLE_DEVICES is {visible!r}; TorchServe takes numbers only, such as 0,1")
    threads = str(threads_per_worker)
    environment |= {
        "LOG_LOCATION": str(folder.temporary),
        "METRICS_LOCATION": str(folder.temporary),
        "TMPDIR": str(folder.temporary),
        **share_cores(),
        "OMP_NUM_THREADS": threads,
        "MILLRACE_THREADS": threads,
        "MILLRACE_CONTROL": str(folder.temporary),
        "MILLRACE_SHARED": str(folder.shared),
        "PYTHONUNBUFFERED": "1",
    }
    return environment
