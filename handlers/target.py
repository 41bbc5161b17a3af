"""What a machine can run, and the check that a program was built for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from host.instruction_sets import cpu_features, find_lacking

if TYPE_CHECKING:
    import torch


def describe_host(device: torch.device) -> dict[str, str]:
    """Describe this machine in the terms of a manifest's target."""
    import torch

    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        capability = f"sm_{major}{minor}"
    else:
        capability = "+".join(cpu_features())
    return {"device": device.type, "capability": capability, "torch_version": torch.__version__.split("+")[0]}


def is_portable(target: Mapping[str, Any]) -> bool:
    """Tell whether a program runs on every CPU: it is bound neither to an instruction set nor to a release of torch."""
    return target["device"] == "cpu" and not target["capability"] and not target["torch_version"]


def check_target(target: Mapping[str, Any], device: str) -> None:
    """Refuse a program that was built for something else.

    Raises:
        RuntimeError: device, instruction set, GPU architecture or torch version differ; both targets are named.
    """
    if is_portable(target) and device == "cpu":
        return
    import torch

    if target["device"] == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"this program was built for {_in_words(target)}, but no CUDA device is available here")
    host = describe_host(torch.device(device))
    if target["device"] == "cuda":
        fits = target["capability"] in ("", host["capability"])
    else:
        fits = not find_lacking(target["capability"])
    fits &= target["device"] == host["device"] and target["torch_version"] in ("", host["torch_version"])
    if not fits:
        raise RuntimeError(
            f"this program was built for {_in_words(target)}, and this worker is {_in_words(host)}; "
            "release the model on a machine like this one, or serve it on one like the former"
        )


def _in_words(target: Mapping[str, Any]) -> str:
    capability = target["capability"] or "any instruction set"
    torch_version = f"torch {target['torch_version']}" if target["torch_version"] else "any torch or none"
    return f"{target['device']} ({capability}, {torch_version})"
