"""What is predicted of waits, against the gateway's own batcher in virtual time."""

import asyncio
import sys
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest

from loadtests.capacity.batch_times import find_pace, trace_pace
from loadtests.capacity.checking import LOADS, Check, Compared
from loadtests.capacity.queueing import simulate, simulate_slices
from loadtests.generate.arrivals import draw_arrivals_like
from loadtests.measure.metrics import Metrics as Scraped
from loadtests.measure.metrics import Series
from loadtests.measure.recording import NUM_WINDOWS
from loadtests.measure.scraper import INTERVAL_S
from model_store.certificate import BatchTime, interpolate
from services.catalogue import ServedVariant
from services.gateway.metrics import Metrics
from services.gateway.served_model import ServedModel
from services.gateway.settings import GatewaySettings
from services.gateway.tensors import InferRequest, NamedTensor
from tests.builders import make_manifest
from tests.loadtests.capacity import virtual_time
from tests.services.gateway.conftest import DoublingBackend

MAX_ROWS, NUM_REQUESTS, SEED = 8, 4000, 3
NUM_SLICES, WARM_UP_S, SLICE_S = 9, 0.5, 2.0
LABELS = {"model": "net", "version": "1-eager"}
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


async def scrape(metrics: Metrics, now, found: dict[tuple[str, str], tuple[list[float], list[float]]]) -> None:
    """Read the gateway's metrics of batches as often as a load test does."""
    while True:
        for metric in (metrics.batches, metrics.rows_by_size, metrics.seconds_by_size, metrics.squares_by_size):
            for sample in chain.from_iterable(family.samples for family in metric.collect()):
                times, values = found.setdefault((sample.name, sample.labels["rows"]), ([0.0], [0.0]))
                times.append(now())
                values.append(sample.value)
        await asyncio.sleep(INTERVAL_S)


def measure(workers: int, arrivals: np.ndarray, monkeypatch, pace=lambda now_s: 1.0) -> tuple[np.ndarray, Scraped]:
    """Send rows through the real batcher; return the ms of each, as they arrived, and its metrics."""

    async def main(now):
        for name, module in list(sys.modules.items()):
            if name.startswith("services.gateway.") and hasattr(module, "monotonic"):
                monkeypatch.setattr(module, "monotonic", now)
        manifest = make_manifest(max_rows=MAX_ROWS)
        variant = ServedVariant(manifest=manifest, archive=Path("none"), examples=Path("none"), is_default=True)
        metrics, found = Metrics(), {}
        backend = SleepingWorkers(workers, lambda: pace(now()))
        served = ServedModel(variant, backend, metrics, GatewaySettings())

        async def send() -> float:
            start_s = now()
            request = InferRequest("net", "", "id", [ROW], deadline_s=start_s + 1000)
            await served.submit(request, 1, start_s)
            return now() - start_s

        scraper = asyncio.ensure_future(scrape(metrics, now, found))
        calls = []
        for arrival_s in arrivals:
            await asyncio.sleep(max(0.0, arrival_s - now()))
            calls.append(asyncio.ensure_future(send()))
        answers_ms = 1e3 * np.array(await asyncio.gather(*calls))
        scraper.cancel()
        series = [Series(name, {**LABELS, "rows": rows}, *values) for (name, rows), values in found.items()]
        return answers_ms, Scraped(series, "by hand")

    return virtual_time.run(main)


@pytest.mark.parametrize(("workers", "load"), [(1, 0.5), (1, 0.8), (1, 0.95), (2, 0.8)])
def test_the_gateway_lets_rows_wait_as_long_as_predicted(workers, load, monkeypatch):
    rate = load * workers * MAX_ROWS / TIMES[-1].seconds
    predicted = simulate(TIMES, MAX_ROWS, workers, rate, seed=SEED, num_requests=NUM_REQUESTS)
    arrivals = np.cumsum(np.random.default_rng(SEED).exponential(1 / rate, NUM_REQUESTS))
    measured_ms = measure(workers, arrivals, monkeypatch)[0][round(0.05 * NUM_REQUESTS) :]
    # The same arrivals in both, so that what differs is the policy and not luck: far within the bar.
    assert predicted.answer_ms == pytest.approx(measured_ms.mean(), rel=0.02)
    assert predicted.answer_p99_ms == pytest.approx(np.percentile(measured_ms, 99), rel=0.05)


def check_in_slices(load, certified_times, monkeypatch) -> Check:
    """Check a certificate of one worker as `checking.py` does, on a machine whose pace wanders by a quarter.

    Halfway through a slice the pace is up to a third from what both looks would lead one to believe.
    """
    random = np.random.default_rng(SEED)
    paces = 1.25 ** random.uniform(-1, 1, NUM_SLICES + 1)
    end_s, slices = WARM_UP_S + SLICE_S, []
    for seed, (before, after) in enumerate(pairwise(paces.tolist())):
        rate = load * MAX_ROWS / TIMES[-1].seconds / before
        arrivals = np.cumsum(random.exponential(1 / rate, round(2 * rate * end_s)))
        arrivals = arrivals[arrivals < end_s]
        halfway = (before + after) / 2 * 1.33 ** random.uniform(-1, 1)
        times_s, at_times = (0, end_s / 2, end_s), (before, halfway, after)
        answers_ms, scraped = measure(1, arrivals, monkeypatch, partial(np.interp, xp=times_s, fp=at_times))
        predicted = simulate_slices(
            certified_times,
            MAX_ROWS,
            1,
            lambda drawn, counts=np.histogram(arrivals, NUM_WINDOWS, (0, end_s))[0]: draw_arrivals_like(
                counts, end_s, drawn
            ),
            find_pace=trace_pace(scraped, certified_times, 0, end_s, **LABELS),
            warm_up_s=WARM_UP_S,
            num_slices=8,
            seed=seed,
        )
        compared = Compared(
            rate=rate,
            pace=find_pace(scraped, certified_times, WARM_UP_S, end_s, **LABELS),
            look_pace=(before + after) / 2,
            predicted_queue_ms=predicted.queue_ms,
            predicted_answer_ms=predicted.answer_ms,
            queue_ms=0,
            answer_ms=answers_ms[arrivals + answers_ms / 1e3 >= WARM_UP_S].mean(),
        )
        slices.append(compared)
    return Check(load=load, certified=predicted, slices=slices)


@pytest.mark.parametrize("load", LOADS)
def test_slices_tell_a_right_certificate_where_the_pace_moves(load, monkeypatch):
    found = check_in_slices(load, TIMES, monkeypatch)
    print(found.batches, found.answers)
    print([(round(s.predicted_answer_ms, 1), round(s.answer_ms, 1)) for s in found.slices])
    assert found.outcome == "reached"


def test_slices_tell_a_certificate_that_is_wrong_of_small_batches_where_the_pace_moves(monkeypatch):
    # It says that they take half as long as they do; full ones, which the looks show, are right.
    wrong = (TIMES[0].model_copy(update={"seconds": TIMES[0].seconds / 2}), TIMES[1])
    assert check_in_slices(0.5, wrong, monkeypatch).batches.outcome == "missed"
