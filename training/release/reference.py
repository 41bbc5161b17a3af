"""The reference variant of a model, opened in this process exactly as a worker would open it."""

from __future__ import annotations

from pathlib import Path

import torch

from handlers.base import Handler
from handlers.target import describe_host
from handlers.worker import open_handler
from training.release.capture import capture
from training.release.content import lay_out
from training.release.spec import ReleaseSpec


def open_reference(spec: ReleaseSpec, device: torch.device, work: Path) -> Handler:
    """Capture a model below the folder `work` and open its handler, so that training measures what is served."""
    programs = {}
    for role, program in spec.programs.items():
        programs[role] = work / f"{role}.pt2"
        torch.export.save(capture(program, device), programs[role])
    content = work / "content"
    content.mkdir()
    target = describe_host(device) | {"capability": ""}
    lay_out(content, spec, release=1, variant="eager", programs=programs, target=target)
    return open_handler(content, device)
