"""From capacity and demand to what Kubernetes is asked for: requests, replicas, and the targets of scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from k8s.capacity import GATEWAY_BYTES, JAVA_BYTES, MIB, Capacity

# Headroom above what was measured or estimated, since a container that exceeds its memory is killed.
MEMORY_MARGIN: Final = 1.25
MEMORY_STEP_BYTES: Final = 256 * MIB
# One core is for gateway and Java together: at full batches they take less than a worker does. With 64 callers the
# gateway took 132 of their 184 µs a call (services/README.md).
FRONT_MILLICORES: Final = 1000
GATEWAY_MILLICORES: Final = 700
# What a gateway in a container of its own holds of requests and answers at once; else the engine's headroom is its too.
REQUESTS_BYTES: Final = 256 * MIB
# A start on a busy machine, from a slow volume, takes several times as long as on the one that was certified.
STARTUP_MARGIN: Final = 4.0
LEAST_STARTUP_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a model's callers need."""

    rows_per_s: float = 0
    wait_s: float = 0.05
    min_replicas: int = 2
    max_replicas: int = 10

    def __post_init__(self) -> None:
        if self.rows_per_s < 0 or self.wait_s <= 0:
            raise ValueError(f"demand: rows_per_s at least 0 and wait_s above 0; got {self}")
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"demand: 1 <= min_replicas <= max_replicas; got {self.min_replicas} and {self.max_replicas}"
            )


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """What one model's pods ask for."""

    workers: int
    threads: int
    cpu_millicores: int
    memory_mib: int
    gateway_mib: int  # in a container of its own; likewise the engine's
    engine_mib: int
    replicas: int
    min_replicas: int
    max_replicas: int
    rows_per_s: float
    target_rows_per_s: int
    target_waiting_rows: int
    startup_s: float | None = None

    @property
    def startup_timeout_s(self) -> int | None:
        """How long `serve` may take to be ready, where it was measured."""
        return None if self.startup_s is None else math.ceil(LEAST_STARTUP_S + STARTUP_MARGIN * self.startup_s)

    @property
    def gateway_millicores(self) -> int:
        """The gateway's part of the processor, in a container of its own."""
        return GATEWAY_MILLICORES

    @property
    def engine_millicores(self) -> int:
        """All else of it."""
        return self.cpu_millicores - GATEWAY_MILLICORES


def size_node(capacity: Capacity, demand: Demand, *, workers: int, java_heap_mib: int) -> Sizing:
    """Size the pods of one model.

    Raises:
        ValueError: the demand needs more than its own `max_replicas`; says how many.
    """
    pod_rows_per_s = workers * capacity.rows_per_s
    target_rows_per_s = workers * capacity.target_rows_per_s
    needed = math.ceil(demand.rows_per_s / target_rows_per_s)
    if needed > demand.max_replicas:
        raise ValueError(
            f"{demand.rows_per_s:g} rows/s need {needed} replicas of {pod_rows_per_s:,.0f} rows/s at "
            f"{target_rows_per_s / pod_rows_per_s:.0%} load, more than the {demand.max_replicas} allowed; "
            "raise --max-replicas or --workers"
        )
    engine_bytes = JAVA_BYTES + java_heap_mib * MIB + workers * capacity.worker_bytes
    pod_bytes = None if capacity.beside_bytes is None else capacity.beside_bytes + workers * capacity.worker_bytes
    return Sizing(
        workers=workers,
        threads=capacity.threads,
        cpu_millicores=FRONT_MILLICORES + 1000 * workers * capacity.threads,
        memory_mib=_round_memory(GATEWAY_BYTES + engine_bytes, pod_bytes),
        gateway_mib=_round_memory(GATEWAY_BYTES + REQUESTS_BYTES),
        engine_mib=_round_memory(engine_bytes, None if pod_bytes is None else pod_bytes - GATEWAY_BYTES),
        replicas=max(demand.min_replicas, needed),
        min_replicas=demand.min_replicas,
        max_replicas=demand.max_replicas,
        rows_per_s=pod_rows_per_s,
        target_rows_per_s=max(1, round(target_rows_per_s)),
        # A row that arrives now waits for those before it, at its slot's rate.
        target_waiting_rows=max(1, round(demand.wait_s * capacity.rows_per_s)),
        startup_s=capacity.startup_s,
    )


def _round_memory(estimated_bytes: int, measured_bytes: int | None = None) -> int:
    """Add the margin to what was measured, else estimated, and round up to a step, in MiB.

    Java's heap, which is in the estimate, may not have been full when it was measured.
    """
    margined = MEMORY_MARGIN * (estimated_bytes if measured_bytes is None else measured_bytes)
    return math.ceil(max(margined, estimated_bytes) / MEMORY_STEP_BYTES) * (MEMORY_STEP_BYTES // MIB)
