"""What waits for a worker, and which of it goes together next.

Rows whose time depends on their size (a translator's sentences) must not share a batch with much larger ones: a batch
is answered as a whole, when its largest row is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from time import monotonic

from services.gateway.tensors import InferRequest, NamedTensor, check_bytes_elements, count_elements

# A row takes about as long as these many bytes besides its own, so that tiny rows all count as similar.
_FIXED_BYTES = 16
_WIDEST = 2.0
# Requests that came within this time of each other came together: the smaller ones go first.
_TOGETHER_S = 0.01


@dataclass(slots=True, eq=False)
class Job:
    """A request in the queue; `size` is what its largest row costs, in bytes."""

    request: InferRequest
    num_rows: int
    num_bytes: int
    size: int
    arrived_s: float
    result: asyncio.Future[list[NamedTensor]]


class Queue:
    """Requests that fit together, in the order in which they came."""

    # A full batch gains nothing by waiting for a worker here instead of there.
    may_send_ahead = True

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.rows = 0

    def append(self, job: Job) -> None:
        self.jobs.append(job)
        self.rows += job.num_rows

    def remove(self, job: Job) -> None:
        self.jobs.remove(job)
        self.rows -= job.num_rows

    def take(self, max_rows: int, max_bytes: int) -> list[Job]:
        """Take out the next batch, and all before it whose callers have left or whose deadlines have passed."""
        batch: list[Job] = []
        rows, size = 0, 0
        while self.jobs:
            job = self.jobs[0]
            if batch and (rows + job.num_rows > max_rows or size + job.num_bytes > max_bytes):
                break
            self.jobs.popleft()
            self.rows -= job.num_rows
            if job.result.done():
                continue
            batch.append(job)
            rows += job.num_rows
            size += job.num_bytes
        return batch


class SizedQueue(Queue):
    """Requests whose time depends on their size: a batch's largest is at most twice its smallest.

    The request that has waited longest for its size leads, so that small ones overtake large ones, but none waits for
    much longer than it takes itself. Source: Brinch Hansen 1971, highest response ratio next.
    """

    # A smaller one may come while it waits.
    may_send_ahead = False

    def take(self, max_rows: int, max_bytes: int) -> list[Job]:
        jobs = [job for job in self.jobs if not job.result.done()]
        batch: list[Job] = []
        if jobs:
            now_s = monotonic()
            leader = max(jobs, key=lambda job: (now_s - job.arrived_s + _TOGETHER_S) / job.size)
            windows = ((leader.size, leader.size * _WIDEST), (leader.size / _WIDEST, leader.size))
            batches = [_fill(leader, jobs, low, high, max_rows, max_bytes) for low, high in windows]
            batch = max(batches, key=lambda found: sum([job.num_rows for job in found]))
        taken = set(batch)
        self.jobs = deque([job for job in jobs if job not in taken])
        self.rows = sum([job.num_rows for job in self.jobs])
        return batch


def _fill(leader: Job, jobs: list[Job], low: float, high: float, max_rows: int, max_bytes: int) -> list[Job]:
    batch, rows, size = [leader], leader.num_rows, leader.num_bytes
    for job in jobs:
        if job is leader or not low <= job.size <= high:
            continue
        if rows + job.num_rows > max_rows or size + job.num_bytes > max_bytes:
            break
        batch.append(job)
        rows += job.num_rows
        size += job.num_bytes
    return batch


def measure_rows(inputs: list[NamedTensor], names: frozenset[str]) -> int:
    """What the largest row of some BYTES inputs costs, in bytes, from contents that have been checked."""
    sizes = [
        max(check_bytes_elements(tensor.data, count_elements(tensor.shape)))
        for tensor in inputs
        if tensor.name in names
    ]
    return _FIXED_BYTES + max(sizes, default=0)
