"""How long requests wait at a rate, from how long batches take: the gateway's batching policy in virtual time.

Requests of one row arrive at random. While a worker is idle, what waits is sent at once; while all are busy, rows
accumulate; a full batch may go ahead to a busy worker. Source: bulk-service queues (Bailey, 1954; Neuts, 1967), whose
service here depends on the size of the batch, so that no closed form exists and the queue is simulated.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import islice

import numpy as np

from loadtests.generate.arrivals import draw_arrivals
from loadtests.measure.recording import Part
from model_store.certificate import BatchTime, Certificate, interpolate

NUM_REQUESTS = 100_000
WARM_UP_SHARE = 0.05


class Waits(Part):
    """Milliseconds of requests at one rate: in the queue, and from arrival to answer."""

    queue_ms: float
    answer_ms: float
    answer_p99_ms: float
    rows_per_batch: float


def predict_waits(certificate: Certificate, max_rows: int, rate: float, *, seed: int = 1) -> Waits:
    """Predict what requests of one row wait at a rate a second, where the variant is served as certified."""
    return simulate(certificate.batch_times, max_rows, certificate.setup.workers, rate, seed=seed)


def simulate(
    times: tuple[BatchTime, ...],
    max_rows: int,
    workers: int,
    rate: float,
    *,
    seed: int = 1,
    num_requests: int = NUM_REQUESTS,
) -> Waits:
    """Simulate the queue of one model version; the first requests, which find it empty, are left out."""
    random = np.random.default_rng((seed, 1))  # apart from the arrivals
    arrivals = islice(draw_arrivals(rate, np.random.default_rng(seed)), num_requests)
    first = round(WARM_UP_SHARE * num_requests)
    draw = _BatchTimes(times, max_rows, random)
    waiting: deque[float] = deque()
    sent_ahead: deque[list[float]] = deque()
    ends: list[tuple[float, int, list[float]]] = []
    queue_s: list[float] = []
    answer_s: list[float] = []
    sizes: list[int] = []
    busy = 0

    def start(batch: list[float], now_s: float) -> None:
        nonlocal busy
        busy += 1
        heappush(ends, (now_s + draw(len(batch)), len(sizes), batch))

    def dispatch(now_s: float) -> None:
        while waiting and (
            busy < workers or (len(waiting) >= max_rows and busy + len(sent_ahead) < 2 * workers and busy == workers)
        ):
            batch = [waiting.popleft() for _ in range(min(len(waiting), max_rows))]
            queue_s.extend(now_s - arrived_s for arrived_s in batch)
            sizes.append(len(batch))
            if busy < workers:
                start(batch, now_s)
            else:
                sent_ahead.append(batch)

    for arrived_s in arrivals:
        while ends and ends[0][0] <= arrived_s:
            end_s, _, batch = heappop(ends)
            busy -= 1
            answer_s.extend(end_s - since_s for since_s in batch)
            if sent_ahead:
                start(sent_ahead.popleft(), end_s)
            dispatch(end_s)
        waiting.append(arrived_s)
        dispatch(arrived_s)
    answers_ms = 1e3 * np.array(answer_s[first:])
    return Waits(
        queue_ms=1e3 * float(np.mean(queue_s[first:])),
        answer_ms=float(answers_ms.mean()),
        answer_p99_ms=float(np.percentile(answers_ms, 99)),
        rows_per_batch=len(queue_s) / len(sizes),
    )


class _BatchTimes:
    """Draw seconds of batches: gamma distributed around the mean for their rows."""

    def __init__(self, times: tuple[BatchTime, ...], max_rows: int, random: np.random.Generator) -> None:
        means = [(time.rows, time.seconds) for time in times]
        shares = [(time.rows, (time.deviation_s / time.seconds) ** 2) for time in times]
        rows = range(1, max_rows + 1)
        self._mean_s = [interpolate(means, num_rows) for num_rows in rows]
        # Beyond what was measured nothing is known of the spread: that of the nearest.
        lowest, highest = times[0].rows, times[-1].rows
        self._variances = [interpolate(shares, min(max(num_rows, lowest), highest)) for num_rows in rows]
        self._random = random

    def __call__(self, num_rows: int) -> float:
        mean_s, variance = self._mean_s[num_rows - 1], self._variances[num_rows - 1]
        return mean_s if variance < 1e-6 else float(self._random.gamma(1 / variance, variance * mean_s))
