"""How long requests wait at a rate, from how long batches take: the gateway's batching policy in virtual time.

Requests of one row arrive at random. While a worker is idle, what waits is sent at once; while all are busy, rows
accumulate; a full batch may go ahead to a busy worker. Source: bulk-service queues (Bailey, 1954; Neuts, 1967), whose
service here depends on the size of the batch, so that no closed form exists and the queue is simulated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import chain, islice
from math import inf
from typing import NamedTuple

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
    trace = _follow(arrivals, _BatchTimes(times, max_rows, random), max_rows, workers)
    first = round(WARM_UP_SHARE * num_requests)
    return _summarise(trace.queued[first:], trace.answered[first:], len(trace.queued) / len(trace.sizes))


def simulate_slices(
    times: tuple[BatchTime, ...],
    max_rows: int,
    workers: int,
    draw: Callable[[np.random.Generator], Iterable[float]],
    *,
    find_pace: Callable[[float], float],
    warm_up_s: float,
    num_slices: int,
    seed: int,
) -> Waits:
    """Simulate what is measured in slices of a few seconds, each of which begins with an empty queue.

    A queue near its capacity takes longer than a slice to fill: to hold a slice against the waits of a queue that runs
    for ever would make them look short. What leaves the queue, and what is answered, before `warm_up_s` is left out.
    `draw` gives the arrivals of one slice; batches take as many times as long as the pace is at that moment. Slices
    that are compared together need seeds of their own: the luck of one simulation would be that of all of them.
    """
    queued: list[tuple[float, float]] = []
    answered: list[tuple[float, float]] = []
    num_batches = num_rows = 0
    for number in range(num_slices):
        draw_time = _BatchTimes(times, max_rows, np.random.default_rng((seed, number, 1)))
        arrivals = draw(np.random.default_rng((seed, number)))
        trace = _follow(arrivals, draw_time, max_rows, workers, find_pace)
        queued += [item for item in trace.queued if item[0] >= warm_up_s]
        answered += [item for item in trace.answered if item[0] >= warm_up_s]
        num_batches, num_rows = num_batches + len(trace.sizes), num_rows + len(trace.queued)
    return _summarise(queued, answered, num_rows / num_batches)


class _Trace(NamedTuple):
    """Moments at which rows left the queue and were answered, each with how long that had taken; batches' sizes."""

    queued: list[tuple[float, float]]
    answered: list[tuple[float, float]]
    sizes: list[int]


def _follow(
    arrivals: Iterable[float],
    draw: Callable[[int], float],
    max_rows: int,
    workers: int,
    find_pace: Callable[[float], float] = lambda now_s: 1.0,
) -> _Trace:
    """Follow rows from their arrivals until the last one is answered."""
    trace = _Trace([], [], [])
    waiting: deque[float] = deque()
    sent_ahead: deque[list[float]] = deque()
    ends: list[tuple[float, int, list[float]]] = []
    busy = 0

    def start(batch: list[float], now_s: float) -> None:
        nonlocal busy
        busy += 1
        heappush(ends, (now_s + find_pace(now_s) * draw(len(batch)), len(trace.sizes), batch))

    def dispatch(now_s: float) -> None:
        while waiting and (
            busy < workers or (len(waiting) >= max_rows and busy + len(sent_ahead) < 2 * workers and busy == workers)
        ):
            batch = [waiting.popleft() for _ in range(min(len(waiting), max_rows))]
            trace.queued.extend((now_s, now_s - arrived_s) for arrived_s in batch)
            trace.sizes.append(len(batch))
            if busy < workers:
                start(batch, now_s)
            else:
                sent_ahead.append(batch)

    for arrived_s in chain(arrivals, [inf]):
        while ends and ends[0][0] <= arrived_s:
            end_s, _, batch = heappop(ends)
            busy -= 1
            trace.answered.extend((end_s, end_s - since_s) for since_s in batch)
            if sent_ahead:
                start(sent_ahead.popleft(), end_s)
            dispatch(end_s)
        if arrived_s < inf:
            waiting.append(arrived_s)
            dispatch(arrived_s)
    return trace


def _summarise(
    queued: Sequence[tuple[float, float]], answered: Sequence[tuple[float, float]], rows_per_batch: float
) -> Waits:
    answers_ms = 1e3 * np.array([took_s for _, took_s in answered])
    return Waits(
        queue_ms=1e3 * float(np.mean([took_s for _, took_s in queued])),
        answer_ms=float(answers_ms.mean()),
        answer_p99_ms=float(np.percentile(answers_ms, 99)),
        rows_per_batch=rows_per_batch,
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
