"""The capacity certificate: what one variant was measured to hold on one class of host, signed beside its manifest.

A manifest's speed is that of a program in process. A certificate is measured through the front door of a served
variant, so that admission, replica counts and requests can follow from it. Imports no torch.
"""

from __future__ import annotations

import hashlib
import platform
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from host.cpu import count_cores, name_features
from model_store.manifest import NAME_PATTERN
from model_store.part import Part

FORMAT: Final = 1
# Of sizes that lie in one power of two, the largest is so much larger than their mean.
SEEN_BEYOND = 4 / 3
_GPUS = Path("/proc/driver/nvidia/gpus")


class HostClass(Part):
    """Machines that are expected to be equally fast."""

    architecture: str
    features: tuple[str, ...] = Field(description="of the processor, what decides speed")
    cores: int = Field(ge=1, description="that the server may use")
    accelerator: str = Field("", description="name of the GPU; '' where the CPU computes")

    @property
    def id(self) -> str:
        """Short name for files: the same for the same class, wherever it is computed."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]

    def __str__(self) -> str:
        on = f"{self.accelerator}, " if self.accelerator else ""
        return f"{on}{self.cores} cores of {self.architecture} with {', '.join(self.features) or 'no extensions'}"


class Setup(Part):
    """How a variant is served on one machine."""

    workers: int = Field(ge=1, le=256)
    threads: int = Field(ge=1, description="CPU threads of each worker")
    slots_per_worker: int = Field(1, ge=1, description="calls that each worker is at at once")


class BatchTime(Part):
    """How long calls of about `rows` rows keep a worker busy."""

    rows: float = Field(gt=0, description="mean of the calls")
    seconds: float = Field(gt=0, description="mean of the calls")
    deviation_s: float = Field(
        ge=0, description="standard deviation between calls, of the same half second where it holds several"
    )
    calls: int = Field(ge=1)


class Certificate(Part):
    """What a served variant holds on a class of host, for requests of one row that arrive at random."""

    format: Literal[1] = FORMAT
    model: str = Field(pattern=NAME_PATTERN)
    release: int = Field(ge=1)
    variant: str = Field(pattern=NAME_PATTERN)
    manifest: str = Field(description="sha256 of the manifest file")
    host: HostClass
    cpu: str = Field(description="the processor it was measured on")
    setup: Setup
    bound_ms: float = Field(gt=0, description="what p99 stays within at `rows_per_s`")
    rows_per_s: float | None = Field(description="highest rate shown to hold the bound; none: no rate was")
    saturated_rows_per_s: float = Field(gt=0, description="with always enough waiting for full batches")
    batch_times: tuple[BatchTime, ...] = Field(min_length=1, description="ascending by rows")
    worker_bytes: int = Field(gt=0, description="share of memory of one worker, after full batches")
    node_bytes: int = Field(gt=0, description="of the server with all that it started; shared pages count once")
    startup_s: float = Field(gt=0, description="from launch to ready")
    created: str = Field(description="ISO 8601, UTC")
    command: str

    @property
    def version(self) -> str:
        return f"{self.release}-{self.variant}"

    def predict_batch_s(self, num_rows: float) -> float:
        """Predict how long a call of so many rows keeps a worker busy: linear between what was measured."""
        return interpolate([(time.rows, time.seconds) for time in self.batch_times], num_rows)

    @model_validator(mode="after")
    def _check(self) -> Certificate:
        rows = [time.rows for time in self.batch_times]
        if any(after <= before for before, after in pairwise(rows)):
            raise ValueError(f"batch_times must ascend by rows, got {rows}")
        return self


def interpolate(points: list[tuple[float, float]], at: float) -> float:
    """Follow straight lines through ascending points, and none much beyond them.

    A point is the mean of sizes that reach somewhat further: so far the line goes on, neither falling nor steeper than
    from nothing, since it is the noise of two points that would speak there.
    """
    right = bisect_left(points, (at, 0.0))
    if 0 < right < len(points):
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    (x, y), others = (points[0], points[1:2]) if right == 0 else (points[-1], points[-2:-1])
    slopes = [min(max((y1 - y) / (x1 - x), 0.0), y / x) for x1, y1 in others]
    return y + sum(slopes) * (min(max(at, x / SEEN_BEYOND), x * SEEN_BEYOND) - x)


def describe_host_class(device: str) -> HostClass:
    """Describe the class of this machine for programs that run on `device` (cpu or cuda)."""
    names = sorted(path.read_text() for path in _GPUS.glob("*/information")) if device == "cuda" else []
    models = [line.partition(":")[2].strip() for name in names for line in name.splitlines() if "Model:" in line]
    return HostClass(
        architecture=platform.machine(),
        features=name_features(),
        cores=count_cores(),
        accelerator=models[0] if models else "",
    )


def find_certificate(
    certificates: Iterable[Certificate], variant: str, *, host: HostClass, setup: Setup
) -> Certificate | None:
    """Find what certifies a variant on a class of host, served in this way."""
    return next((c for c in certificates if (c.variant, c.host, c.setup) == (variant, host, setup)), None)
