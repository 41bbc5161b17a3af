"""What is predicted of waits, against the gateway's own batcher in virtual time."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

from loadtests.capacity.queueing import simulate
from model_store.certificate import BatchTime, interpolate
from services.catalogue import ServedVariant
from services.gateway.batching import Batcher
from services.gateway.metrics import Metrics
from services.gateway.tensors import InferRequest, NamedTensor
from tests.builders import make_manifest
from tests.loadtests.capacity import virtual_time
from tests.services.gateway.conftest import DoublingBackend

MAX_ROWS, NUM_REQUESTS, SEED = 8, 4000, 3
ROW = NamedTensor("x", "FP32", (1, 4), bytes(16))
# A call costs 10 ms, and each of its rows 2 ms.
TIMES = tuple(BatchTime(rows=rows, seconds=0.01 + 0.002 * rows, deviation_s=0, calls=99) for rows in (1, MAX_ROWS))


class SleepingWorkers(DoublingBackend):
    """Workers that take as long for a batch as TIMES says, one batch at a time each."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._free = asyncio.Semaphore(workers)

    async def predict(self, variant, request):
        async with self._free:
            answer = await super().predict(variant, request)
            num_rows = len(self.batches[-1])
            await asyncio.sleep(interpolate([(time.rows, time.seconds) for time in TIMES], num_rows))
            return answer


def measure_answers_ms(workers: int, rate: float, monkeypatch) -> np.ndarray:
    """Send rows at random through the real batcher; return how long each took."""
    arrivals = np.cumsum(np.random.default_rng(SEED).exponential(1 / rate, NUM_REQUESTS))

    async def main(now):
        for name, module in list(sys.modules.items()):
            if name.startswith("services.gateway.") and hasattr(module, "monotonic"):
                monkeypatch.setattr(module, "monotonic", now)
        manifest = make_manifest(max_rows=MAX_ROWS)
        variant = ServedVariant(manifest=manifest, archive=Path("none"), examples=Path("none"), is_default=True)
        metrics = Metrics().of("net", "1-eager")
        batcher = Batcher(variant, SleepingWorkers(workers), metrics, num_workers=workers, max_batch_bytes=10_000)

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
    measured_ms = measure_answers_ms(workers, rate, monkeypatch)[round(0.05 * NUM_REQUESTS) :]
    # The same arrivals in both, so that what differs is the policy and not luck: far within the bar.
    assert predicted.answer_ms == pytest.approx(measured_ms.mean(), rel=0.02)
    assert predicted.answer_p99_ms == pytest.approx(np.percentile(measured_ms, 99), rel=0.05)
