"""A model's handler in this process: over its networks themselves, over built variants, and over released ones."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils import _pytree as pytree

from handlers.archive import open_handler
from handlers.base import Handler
from handlers.device import Device
from handlers.program import Program, wrap_tensors
from handlers.target import describe_host
from training.release.build import Built
from training.release.content import lay_out
from training.release.spec import ReleaseSpec

if TYPE_CHECKING:  # the GPU check runs where pydantic is not installed
    from model_store.release import Release


def open_reference(spec: ReleaseSpec, device: torch.device, work: Path) -> Handler:
    """Open a model's handler in the empty folder `work`, so that training measures by the code that serves.

    Capturing is left out: it takes longer than the evaluation of a small model.
    """
    target = describe_host(device) | {"capability": ""}
    lay_out(work, spec, release=1, variant="eager", programs={}, target=target)
    handler = open_handler(work, str(device))
    handler.programs = {
        role: _as_program(program.module.to(device).eval(), handler.device) for role, program in spec.programs.items()
    }
    return handler


def open_variants(built: Built, device: torch.device) -> dict[str, Handler]:
    """Open the handler of each built variant, in order."""
    return {variant: open_handler(folder, str(device)) for variant, folder in built.folders.items()}


def open_released(release: Release, device: torch.device, work: Path) -> dict[str, Handler]:
    """Unpack a release's archives into the folder `work` and open their handlers, the reference first."""
    handlers = {}
    for variant in release.variants:
        with zipfile.ZipFile(release.archive_path(variant)) as archive:
            archive.extractall(work / variant)
        handlers[variant] = open_handler(work / variant, str(device))
    return handlers


def _as_program(module: torch.nn.Module, device: Device) -> Program:
    return wrap_tensors(lambda tensors: pytree.tree_leaves(module(*tensors)), device)
