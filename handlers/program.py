"""Released programs: files that map tensors to tensors, without any network class.

`*.pt2` is an exported program, run as it is; `*.so` is a library made by AOTInductor, its kernels beside it; `*.onnx`
is run by onnxruntime. This is the one place that knows. An `.onnx` file imports no torch.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handlers.cuda_graphs import GraphedProgram, record_cuda_graph
from handlers.device import Device
from handlers.onnx_providers import check_provider, list_providers

if TYPE_CHECKING:
    import torch

# Takes and returns values of its device, in the program's order: on the CPU numpy arrays, see device.py.
Program = Callable[[Sequence[Any]], Sequence[Any]]


def load_program(path: Path, device: Device) -> Program:
    """Load a released program: a function from its inputs to its outputs, both in order.

    Raises:
        ValueError: none of the files that a program may be.
    """
    loaders = {".pt2": _load_exported, ".so": _load_compiled, ".onnx": _load_onnx}
    if path.suffix not in loaders:
        raise ValueError(f"{path.name} is no released program: expected a file ending in {', '.join(loaders)}")
    return loaders[path.suffix](path, device)


def wrap_tensors(run: Callable[[list[torch.Tensor]], Sequence[torch.Tensor]], device: Device) -> Program:
    """Make a program of a function of tensors; on the CPU, arrays become tensors and back without a copy."""
    import torch

    if device.num_threads is not None:
        torch.set_num_threads(device.num_threads)
    # Request bytes are read-only, and programs never write to their inputs.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")

    def run_arrays(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with torch.inference_mode():
            # Compiled programs never look at strides.
            tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
            return [result.numpy() for result in run(tensors)]

    def run_tensors(tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        with torch.inference_mode():
            return run([tensor.contiguous() for tensor in tensors])

    return run_arrays if device.type == "cpu" else run_tensors


def _load_exported(path: Path, device: Device) -> Program:
    import torch
    from torch.utils import _pytree as pytree

    exported = torch.export.load(path)
    if device.type == "cuda":  # the file names the GPU that it was released on, and a worker may have another
        from torch.export.passes import move_to_device_pass

        exported = move_to_device_pass(exported, device.name)
    module = exported.module(check_guards=False)
    in_spec = exported.call_spec.in_spec
    assert in_spec is not None
    # Checking shapes costs more than small networks, and two thirds of a decoder's steps: once for each is enough.
    checked: set[tuple[torch.Size, ...]] = set()
    checking = threading.Lock()
    module.validate_inputs = False  # type: ignore[assignment]

    def check_and_run(shapes: tuple[torch.Size, ...], arguments: Any, keywords: Any) -> Any:
        with checking:  # what runs beside it in another slot is checked once more
            module.validate_inputs = True  # type: ignore[assignment]
            try:
                results = module(*arguments, **keywords)
            finally:
                module.validate_inputs = False  # type: ignore[assignment]
        checked.add(shapes)
        return results

    def run(inputs: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        arguments, keywords = pytree.tree_unflatten(inputs, in_spec)
        shapes = tuple(tensor.shape for tensor in inputs)
        is_known = shapes in checked
        return pytree.tree_leaves(
            module(*arguments, **keywords) if is_known else check_and_run(shapes, arguments, keywords)
        )

    return wrap_tensors(run, device)


def _load_compiled(path: Path, device: Device) -> Program:
    import torch

    # The runner itself, not AOTIModelPackageLoader: that one unpacks a copy of the program into /tmp, which a killed
    # worker leaves behind. Importing torch._inductor for it would double a worker's start-up time.
    if device.type == "cuda":
        make_runner: Any = torch._C._aoti.AOTIModelContainerRunnerCuda  # its annotations lack the last argument
        # Of single runs only, where graphs are recorded: what tells several at a time apart cannot be.
        run = make_runner(str(path), device.num_slots, device.name, str(path.parent), device.has_graphs).run
        if device.has_graphs:
            run = GraphedProgram(run, record_cuda_graph)
    else:
        run = torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), device.num_slots).run
    return wrap_tensors(run, device)


def _load_onnx(path: Path, device: Device) -> Program:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.num_threads or 1
    options.inter_op_num_threads = 1
    # Threads that wait in a busy loop take the cores of the workers beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    if device.type == "cuda":
        providers = list_providers(path, device.name)
        session = onnxruntime.InferenceSession(path, options, providers=providers)
        check_provider(providers[0][0], session.get_providers())
    else:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        results: list[np.ndarray] = session.run(outputs, dict(zip(inputs, arrays, strict=True)))
        return results

    return run
