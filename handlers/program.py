"""Released programs: files that map tensors to tensors, without any network class.

`*.pt2` is an exported program, run as it is; `*.so` is a library made by AOTInductor, its kernels beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

Program = Callable[[list[torch.Tensor]], Sequence[torch.Tensor]]


def load_program(path: Path, device: torch.device) -> Program:
    """Load a released program: a function from its input tensors to its output tensors, both in order.

    Raises:
        ValueError: neither a `.pt2` nor a `.so` file.
    """
    if path.suffix == ".pt2":
        return _load_exported(path)
    if path.suffix == ".so":
        return _load_compiled(path, device)
    raise ValueError(f"{path.name} is no released program: expected a .pt2 or .so file")


def _load_exported(path: Path) -> Program:
    from torch.utils import _pytree as pytree

    exported = torch.export.load(path)
    # The gateway checks requests against the manifest; checking shapes again costs more than small networks.
    module = exported.module(check_guards=False)
    in_spec = exported.call_spec.in_spec
    assert in_spec is not None

    def run(inputs: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        arguments, keywords = pytree.tree_unflatten(inputs, in_spec)
        return pytree.tree_leaves(module(*arguments, **keywords))

    return run


def _load_compiled(path: Path, device: torch.device) -> Program:
    # The runner itself, not AOTIModelPackageLoader: that one unpacks a copy of the program into /tmp, which a killed
    # worker leaves behind. Importing torch._inductor for it would double a worker's start-up time.
    if device.type == "cuda":
        run: Program = torch._C._aoti.AOTIModelContainerRunnerCuda(str(path), 1, str(device), str(path.parent)).run
    else:
        run = torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1).run
    return run
