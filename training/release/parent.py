"""The run that a run was made from: a teacher, or the network that was pruned. A release is compared with it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from handlers.base import Handler
from training.engine.runs import read_run
from training.models import load_model
from training.release.measurement import Measurement, measure_quality
from training.release.reference import open_reference
from training.release.spec import ReleaseSpec


@dataclass(frozen=True, kw_only=True)
class Parent:
    """Another run's networks, how good they are on the held-out rows of the run that is released, and their weights."""

    run: Path
    measurement: Measurement
    handler: Handler
    size_bytes: int


def measure_parent(spec: ReleaseSpec, device: torch.device) -> Parent | None:
    """Measure the run that a released one was made from, by its own networks; None where there is none.

    Raises:
        FileNotFoundError: the run is no longer there.
    """
    if spec.parent is None:
        return None
    parent = load_model(read_run(spec.parent)["model"]).describe_release(spec.parent, str(device))
    with tempfile.TemporaryDirectory(prefix="release-") as work:
        handler = open_reference(parent, device, Path(work))
    weights = [weight for program in parent.programs.values() for weight in program.module.state_dict().values()]
    return Parent(
        run=spec.parent,
        measurement=measure_quality(handler, spec.held_out, parent.max_rows),
        handler=handler,
        size_bytes=sum(weight.nbytes for weight in weights),
    )
