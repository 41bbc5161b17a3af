"""What waits for a worker, and which of it goes together next.

Rows whose time depends on their size (a translator's sentences) must not share a batch with much larger ones: a batch
is answered as a whole, when its largest row is done.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left, insort_right
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import attrgetter
from time import monotonic

from services.gateway.shares import Flow, Shares
from services.gateway.tensors import InferRequest, NamedTensor, check_bytes_elements, count_elements

# A row takes about as long as these many bytes besides its own, so that tiny rows all count as similar.
_FIXED_BYTES = 16
_WIDEST = 2.0
# Requests that came within this time of each other came together: the smaller ones go first.
_TOGETHER_S = 0.01


@dataclass(slots=True, eq=False)
class Job:
    """A request in the queue; `size` is what its largest row costs, in bytes.

    `key` says with which others it may share a batch, `number` which of all goes first; see shares.py. `place` is that
    of its rows in a call under way; see departed_rows.py.
    """

    request: InferRequest
    num_rows: int
    num_bytes: int
    size: int
    arrived_s: float
    result: asyncio.Future[list[NamedTensor]]
    key: Hashable
    flow: Flow
    number: float = 0.0
    is_waiting: bool = True
    place: tuple[int, int] | None = None


_number_of = attrgetter("number")


class Queue:
    """Requests that fit together, in the order of their numbers."""

    # A full batch gains nothing by waiting for a worker here instead of there.
    may_send_ahead = True

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.rows = 0

    def add(self, job: Job) -> None:
        if self.jobs and job.number < self.jobs[-1].number:
            insort_right(self.jobs, job, key=_number_of)
        else:
            self.jobs.append(job)
        self.rows += job.num_rows

    def remove(self, job: Job) -> None:
        del self.jobs[self.jobs.index(job, bisect_left(self.jobs, job.number, key=_number_of))]
        self.rows -= job.num_rows

    def take(self, max_rows: int, max_bytes: int) -> list[Job]:
        """Take out the next batch, and all before it whose callers have left or whose deadlines have passed."""
        count, rows, size = 0, 0, 0
        for job in self.jobs:
            if not job.result.done():
                if count and (rows + job.num_rows > max_rows or size + job.num_bytes > max_bytes):
                    break
                rows += job.num_rows
                size += job.num_bytes
            count += 1
        taken = self.jobs[:count]
        del self.jobs[:count]
        self.rows -= sum([job.num_rows for job in taken])
        return taken


class SizedQueue(Queue):
    """Requests whose time depends on their size: a batch's largest is at most twice its smallest.

    Of the caller whose turn it is, and of what others have within a batch of it, the request that has waited longest
    for its size leads, so that small ones overtake large ones, but none waits for much longer than it takes itself.
    Source: Brinch Hansen 1971, highest response ratio next.
    """

    # A smaller one may come while it waits.
    may_send_ahead = False

    def take(self, max_rows: int, max_bytes: int) -> list[Job]:
        gone = [job for job in self.jobs if job.result.done()]
        jobs = [job for job in self.jobs if not job.result.done()]
        batch: list[Job] = []
        if jobs:
            now_s = monotonic()
            turn = jobs[0].flow
            last = jobs[0].number + max_rows * turn.stride
            leader = max(
                (job for job in jobs if job.flow is turn or job.number <= last),
                key=lambda job: (now_s - job.arrived_s + _TOGETHER_S) / job.size,
            )
            windows = ((leader.size, leader.size * _WIDEST), (leader.size / _WIDEST, leader.size))
            batches = [_fill(leader, jobs, low, high, max_rows, max_bytes) for low, high in windows]
            batch = max(batches, key=lambda found: sum([job.num_rows for job in found]))
        taken = set(batch)
        self.jobs = [job for job in jobs if job not in taken]
        self.rows = sum([job.num_rows for job in self.jobs])
        return gone + batch


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


class WaitingRoom:
    """All that waits for one model version: a queue for each kind that fits together, and whose turn it is."""

    def __init__(self, new_queue: Callable[[], Queue]) -> None:
        self.rows = 0
        self.shares = Shares()
        self._new_queue = new_queue
        self._queues: dict[Hashable, Queue] = {}
        # A heap of queues by their first jobs' numbers; entries that are out of date are dropped when they come up.
        self._turns: list[tuple[float, int, Queue]] = []
        self._count = itertools.count()

    def enter(self, job: Job) -> Queue:
        """Take a job in; return the queue that it stands in."""
        job.number = self.shares.enter(job.flow, job.num_rows)
        queue = self._queues.get(job.key)
        if queue is None:
            queue = self._queues[job.key] = self._new_queue()
        queue.add(job)
        self.rows += job.num_rows
        if queue.jobs[0] is job:
            self._note_turn(queue)
        return queue

    def leave(self, job: Job) -> None:
        """Take a job out whose caller has left, if it still waits."""
        if job.is_waiting:
            queue = self._queues[job.key]
            queue.remove(job)
            self._settle(job.key, queue, [job])

    def find_next(self) -> Queue | None:
        """Find the queue whose turn it is."""
        while self._turns:
            number, _, queue = self._turns[0]
            if queue.jobs and queue.jobs[0].number == number:
                return queue
            heappop(self._turns)
        return None

    def take(self, max_rows: int, max_bytes: int) -> list[Job]:
        """Take out the jobs of the next batch; those whose callers have left or whose time is over are in none."""
        queue = self.find_next()
        if queue is None:
            return []
        first = queue.jobs[0]
        taken = queue.take(max_rows, max_bytes)
        self.shares.reach(first.number)
        self._settle(first.key, queue, taken)
        return [job for job in taken if not job.result.done()]

    def _settle(self, key: Hashable, queue: Queue, taken: list[Job]) -> None:
        for job in taken:
            job.is_waiting = False
            self.rows -= job.num_rows
            self.shares.leave(job.flow, job.num_rows)
        if queue.jobs:
            self._note_turn(queue)
        else:
            del self._queues[key]

    def _note_turn(self, queue: Queue) -> None:
        heappush(self._turns, (queue.jobs[0].number, next(self._count), queue))


def measure_rows(inputs: list[NamedTensor], names: frozenset[str]) -> int:
    """What the largest row of some BYTES inputs costs, in bytes, from contents that have been checked."""
    sizes = [
        max(check_bytes_elements(tensor.data, count_elements(tensor.shape)))
        for tensor in inputs
        if tensor.name in names
    ]
    return _FIXED_BYTES + max(sizes, default=0)
