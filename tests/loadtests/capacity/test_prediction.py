"""What is predicted of waits, against the gateway's own batcher in virtual time."""

import asyncio
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from loadtests.capacity.checking import ALLOWED, LOADS, compare_means
from loadtests.capacity.queueing import simulate, simulate_slices
from model_store.certificate import BatchTime, interpolate
from services.catalogue import ServedVariant
from services.gateway.batching import Batcher
from services.gateway.metrics import Metrics
from services.gateway.tensors import InferRequest, NamedTensor
from tests.builders import make_manifest
from tests.loadtests.capacity import virtual_time
from tests.services.gateway.conftest import DoublingBackend

MAX_ROWS, NUM_REQUESTS, SEED = 8, 4000, 3
NUM_SLICES, WARM_UP_S, SLICE_S = 9, 0.5, 2.0
ROW = NamedTensor("x", "FP32", (1, 4), bytes(16))
# A call costs 10 ms, and each of its rows 2 ms.
TIMES = tuple(BatchTime(rows=rows, seconds=0.01 + 0.002 * rows, deviation_s=0, calls=99) for rows in (1, MAX_ROWS))


class SleepingWorkers(DoublingBackend):
    """Workers that take `pace` times as long for a batch as TIMES says, one batch at a time each."""

    def __init__(self, workers: int, pace=lambda: 1.0) -> None:
        super().__init__(workers)
        self._free = asyncio.Semaphore(workers)
        self._pace = pace

    async def predict(self, variant, request):
        async with self._free:
            answer = await super().predict(variant, request)
            num_rows = len(self.batches[-1])
            seconds = interpolate([(time.rows, time.seconds) for time in TIMES], num_rows)
            await asyncio.sleep(self._pace() * seconds)
            return answer


def measure_answers_ms(workers: int, arrivals: np.ndarray, monkeypatch, pace=lambda now_s: 1.0) -> np.ndarray:
    """Send rows through the real batcher; return how long each took, in the order of their arrivals."""

    async def main(now):
        for name, module in list(sys.modules.items()):
            if name.startswith("services.gateway.") and hasattr(module, "monotonic"):
                monkeypatch.setattr(module, "monotonic", now)
        manifest = make_manifest(max_rows=MAX_ROWS)
        variant = ServedVariant(manifest=manifest, archive=Path("none"), examples=Path("none"), is_default=True)
        metrics = Metrics().of("net", "1-eager")
        backend = SleepingWorkers(workers, lambda: pace(now()))
        batcher = Batcher(variant, backend, metrics, num_slots=workers, max_batch_bytes=10_000)

        async def send() -> float:
            start_s = now()
            request = InferRequest("net", "", "id", [ROW], deadline_s=start_s + 1000)
            await batcher.submit(request, 1, start_s)
            return now() - start_s

        calls = []
        for arrival_s in arrivals:
            await asyncio.sleep(max(0.0, arrival_s - now()))
            calls.append(asyncio.ensure_future(send()))
        return 1e3 * np.array(await asyncio.gather(*calls))

    return virtual_time.run(main)


@pytest.mark.parametrize(("workers", "load"), [(1, 0.5), (1, 0.8), (1, 0.95), (2, 0.8)])
def test_the_gateway_lets_rows_wait_as_long_as_predicted(workers, load, monkeypatch):
    rate = load * workers * MAX_ROWS / TIMES[-1].seconds
    predicted = simulate(TIMES, MAX_ROWS, workers, rate, seed=SEED, num_requests=NUM_REQUESTS)
    arrivals = np.cumsum(np.random.default_rng(SEED).exponential(1 / rate, NUM_REQUESTS))
    measured_ms = measure_answers_ms(workers, arrivals, monkeypatch)[round(0.05 * NUM_REQUESTS) :]
    # The same arrivals in both, so that what differs is the policy and not luck: far within the bar.
    assert predicted.answer_ms == pytest.approx(measured_ms.mean(), rel=0.02)
    assert predicted.answer_p99_ms == pytest.approx(np.percentile(measured_ms, 99), rel=0.05)


def check_in_slices(load, certified_times, monkeypatch):
    """Check a certificate of one worker as `checking.py` does, on a machine whose pace wanders by a quarter.

    Halfway through a slice the pace is up to a tenth from what both looks would lead one to believe.
    """
    random = np.random.default_rng(SEED)
    paces = 1.25 ** random.uniform(-1, 1, NUM_SLICES + 1)
    end_s, predicted_ms, measured_ms = WARM_UP_S + SLICE_S, [], []
    for seed, (before, after) in enumerate(pairwise(paces.tolist())):
        rate = load * MAX_ROWS / TIMES[-1].seconds / before
        arrivals = np.cumsum(random.exponential(1 / rate, round(2 * rate * end_s)))
        arrivals = arrivals[arrivals < end_s]
        halfway = (before + after) / 2 * random.uniform(0.9, 1.1)
        times_s, at_times = (0, end_s / 2, end_s), (before, halfway, after)
        answers_ms = measure_answers_ms(1, arrivals, monkeypatch, partial(np.interp, xp=times_s, fp=at_times))
        measured_ms.append(answers_ms[arrivals + answers_ms / 1e3 >= WARM_UP_S].mean())
        how = {"warm_up_s": WARM_UP_S, "length_s": SLICE_S, "num_slices": 8, "seed": seed}
        waits = simulate_slices(certified_times, MAX_ROWS, 1, rate, paces=(before, after), **how)
        predicted_ms.append(waits.answer_ms)
    return compare_means(predicted_ms, measured_ms)


@pytest.mark.parametrize("load", LOADS)
def test_slices_tell_a_right_certificate_where_the_pace_moves(load, monkeypatch):
    found = check_in_slices(load, TIMES, monkeypatch)
    assert found.low < 1 < found.high
    assert 0.85 < found.ratio < 1.15


def test_slices_tell_a_wrong_certificate_where_the_pace_moves(monkeypatch):
    # It says of small batches that they take half as long as they do; full ones, which the pace is known by, are right.
    wrong = (TIMES[0].model_copy(update={"seconds": TIMES[0].seconds / 2}), TIMES[1])
    assert check_in_slices(0.5, wrong, monkeypatch).high < 1 - ALLOWED
