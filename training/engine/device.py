"""Where and in which precision a run computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)
Precision = Literal["auto", "bf16", "fp32"]


def choose_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:1` into a device; `auto` takes a GPU where there is one.

    Raises:
        ValueError: CUDA was asked for and torch sees no GPU, or the name is none of these.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name != "cpu" and not name.startswith("cuda"):
        raise ValueError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:<number>")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {name}: torch {torch.__version__} sees no CUDA device; use --device cpu or auto")
    return torch.device(name)


def multiplies_bf16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 natively; elsewhere bf16 training is slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Make the autocast context of a precision: `bf16`, `fp32`, or `auto` for the faster of them on this device.

    Raises:
        ValueError: unknown precision.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"unknown precision {precision!r}; use one of {get_args(Precision)}")
    enabled = precision == "bf16" or (precision == "auto" and multiplies_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def place(network: Module, device: torch.device) -> Module:
    """Move a network to a device, with channels last in memory: the layout in which convolutions run fastest."""
    move: Any = network.to  # torch's annotations do not know memory_format
    return move(device, memory_format=torch.channels_last)


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Compute on at most `count` CPU threads for a while; 0 leaves torch's choice."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(count or before, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
