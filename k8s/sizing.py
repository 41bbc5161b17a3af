"""From capacity and demand to what Kubernetes is asked for: requests, replicas, and the targets of scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from k8s.capacity import GATEWAY_BYTES, JAVA_BYTES, MIB, Capacity

# Headroom above the estimate, since a container that exceeds its memory is killed.
MEMORY_MARGIN: Final = 1.25
MEMORY_STEP_BYTES: Final = 256 * MIB


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
    replicas: int
    min_replicas: int
    max_replicas: int
    rows_per_s: float
    target_rows_per_s: int
    target_waiting_rows: int


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
    num_bytes = GATEWAY_BYTES + JAVA_BYTES + java_heap_mib * MIB + workers * capacity.worker_bytes
    return Sizing(
        workers=workers,
        threads=capacity.threads,
        # One core for gateway and Java together: at full batches they take less than a worker does.
        cpu_millicores=1000 * (1 + workers * capacity.threads),
        memory_mib=math.ceil(MEMORY_MARGIN * num_bytes / MEMORY_STEP_BYTES) * (MEMORY_STEP_BYTES // MIB),
        replicas=max(demand.min_replicas, needed),
        min_replicas=demand.min_replicas,
        max_replicas=demand.max_replicas,
        rows_per_s=pod_rows_per_s,
        target_rows_per_s=max(1, round(target_rows_per_s)),
        # A row that arrives now waits for those before it, at its slot's rate.
        target_waiting_rows=max(1, round(demand.wait_s * capacity.rows_per_s)),
    )
