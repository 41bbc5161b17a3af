"""One simulated fleet of one model: rows arrive, wait, are answered or refused; pods start, stop and are scraped."""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from k8s.simulation.autoscaler import SYNC_S, Autoscaler
from k8s.simulation.queries import Sample

Object = dict[str, Any]

SCRAPE_S: Final = 15
KEPT_S: Final = 120
PERCENTILE_S: Final = 10


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What one pod of the model does."""

    rows_per_s: float
    slots: int
    start_s: float
    max_waiting_rows: int
    max_rows: int


@dataclass
class Result:
    """Series of one simulation: by second, and p99 latency for each `PERCENTILE_S`."""

    replicas: list[int] = field(default_factory=list)
    waiting_rows: list[float] = field(default_factory=list)
    p99_s: list[float] = field(default_factory=list)
    refused_rows: float = 0
    offered_rows: float = 0

    @property
    def pod_hours(self) -> float:
        return sum(self.replicas) / 3600

    @property
    def num_direction_changes(self) -> int:
        """How often scaling up turned into scaling down or back."""
        moves = [b - a for a, b in zip(self.replicas, self.replicas[1:], strict=False) if a != b]
        return sum((a > 0) != (b > 0) for a, b in itertools.pairwise(moves))

    def recovery_s(self, after_s: int, slo_s: float) -> float:
        """Seconds from a moment until p99 is within the objective and stays there for five minutes."""
        first = after_s // PERCENTILE_S
        span = 300 // PERCENTILE_S
        for index in range(first, len(self.p99_s)):
            if all(value <= slo_s for value in self.p99_s[index : index + span]):
                return (index - first) * PERCENTILE_S
        return math.inf


def simulate(trace: Sequence[float], scaled_object: Object, pod: Pod, *, replicas: int, seed: int = 1) -> Result:
    """Simulate second by second; arrivals are Poisson (as a normal, which at these rates it is)."""
    fleet = _Fleet(pod, replicas)
    autoscaler, chance, result = Autoscaler(scaled_object), random.Random(seed), Result()
    samples: deque[Sample] = deque()
    for second, rows_per_s in enumerate(trace):
        arrived = max(0.0, chance.gauss(rows_per_s, math.sqrt(rows_per_s)))
        result.offered_rows += arrived
        result.refused_rows += fleet.step(second, arrived)
        if second % SCRAPE_S == 0:
            samples.append(fleet.scrape(second))
            while samples[0].time_s < second - KEPT_S:
                samples.popleft()
        if second % SYNC_S == SYNC_S - 1:
            fleet.scale(second, autoscaler.decide(second, fleet.num_wanted, list(samples)))
        result.replicas.append(fleet.num_wanted)
        result.waiting_rows.append(fleet.waiting_rows)
        if second % PERCENTILE_S == PERCENTILE_S - 1:
            result.p99_s.append(fleet.take_p99_s())
    return result


class _Fleet:
    def __init__(self, pod: Pod, replicas: int) -> None:
        self._pod = pod
        self._ready_at_s = [0.0] * replicas
        self._answered = [0.0] * replicas
        self._queue: deque[tuple[int, float]] = deque()
        self._left: list[tuple[float, float]] = []
        self.waiting_rows = 0.0

    @property
    def num_wanted(self) -> int:
        return len(self._ready_at_s)

    def step(self, second: int, arrived: float) -> float:
        """Let one second pass; return the rows that were refused."""
        ready = [index for index, at_s in enumerate(self._ready_at_s) if at_s <= second]
        able = len(ready) * self._pod.rows_per_s
        refused = max(0.0, self.waiting_rows + arrived - able - len(ready) * self._pod.max_waiting_rows)
        self._queue.append((second, arrived - min(refused, arrived)))
        self.waiting_rows += arrived - min(refused, arrived)
        served = min(able, self.waiting_rows)
        self.waiting_rows -= served
        for index in ready:
            self._answered[index] += served / len(ready)
        self._leave(second, served, able)
        return refused

    def _leave(self, second: int, served: float, able: float) -> None:
        """Note the latency of the rows that were answered: their wait, and a batch's time at this load."""
        load = served / able if able else 1.0
        batch_s = max(1.0, load * self._pod.max_rows) / self._pod.rows_per_s * self._pod.slots
        while served > 1e-9 and self._queue:
            since, rows = self._queue[0]
            taken = min(rows, served)
            self._left.append((second - since + batch_s, taken))
            served -= taken
            if taken < rows:
                self._queue[0] = (since, rows - taken)
            else:
                self._queue.popleft()

    def take_p99_s(self) -> float:
        """p99 of the latencies since the last call, by rows."""
        left, self._left = sorted(self._left, reverse=True), []
        above = 0.01 * sum(rows for _, rows in left)
        for latency_s, rows in left:
            above -= rows
            if above <= 0:
                return latency_s
        return 0.0

    def scrape(self, second: int) -> Sample:
        ready = [index for index, at_s in enumerate(self._ready_at_s) if at_s <= second]
        waiting = self.waiting_rows / len(ready) if ready else 0.0
        return Sample(
            second,
            {
                "millrace_waiting_rows": [waiting] * len(ready),
                "millrace_slots": [float(self._pod.slots)] * len(ready),
                "millrace_batch_rows_sum": [self._answered[index] for index in ready],
            },
        )

    def scale(self, second: int, wanted: int) -> None:
        """Start pods, which take their time, or end the newest, which finish what they have."""
        while len(self._ready_at_s) < wanted:
            self._ready_at_s.append(second + self._pod.start_s)
            self._answered.append(0.0)
        del self._ready_at_s[wanted:], self._answered[wanted:]
