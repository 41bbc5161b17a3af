"""Batches that leave before a worker is free, through the gateway's own batcher in virtual time."""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from handlers.message import encode_times
from services.catalogue import ServedVariant
from services.gateway.batching import Batcher
from services.gateway.errors import InternalError
from services.gateway.metrics import Metrics
from services.gateway.tensors import InferRequest, NamedTensor
from tests.builders import make_manifest
from tests.services.gateway.conftest import DoublingBackend
from tests.virtual_time import run_gateway

MAX_ROWS = 64
WAY_S = 0.0006
ROW = NamedTensor("x", "FP32", (1, 4), bytes(16))


class FarWorkers(DoublingBackend):
    """Workers at the end of a way, which tell how long they ran."""

    def __init__(self, workers, now, run_s):
        super().__init__(workers)
        self._now, self._run_s = now, run_s
        self._free = asyncio.Semaphore(workers)
        self.busy_s = 0.0
        self.num_calls = self.most_calls = 0

    async def predict(self, variant, request):
        self.num_calls += 1
        self.most_calls = max(self.most_calls, self.num_calls)
        try:
            await asyncio.sleep(WAY_S)
            async with self._free:
                began_s = self._now()
                answer = await super().predict(variant, request)
                await asyncio.sleep(self._run_s(len(self.batches[-1])))
                ended_s = self._now()
                self.busy_s += ended_s - began_s
            await asyncio.sleep(WAY_S)
            return answer + encode_times(round(1e9 * began_s), round(1e9 * ended_s))
        finally:
            self.num_calls -= 1


def use(monkeypatch, run_s, *, workers=1, num_callers=32, max_calls=None, most_pause_s=0.0, before_answer=None):
    """Have callers ask for a row at a time for two seconds, with pauses between.

    Returns the backend, by how much it was busy, and how many rows were answered in a second.
    """

    pauses = random.Random(2)

    async def main(now):
        backend = FarWorkers(workers, now, run_s)
        if before_answer:
            backend.before_answer = before_answer
        manifest = make_manifest(max_rows=MAX_ROWS)
        variant = ServedVariant(manifest=manifest, archive=Path("none"), examples=Path("none"), is_default=True)
        metrics = Metrics().of("net", "1-eager")
        batcher = Batcher(variant, backend, metrics, num_workers=workers, max_batch_bytes=10_000, max_calls=max_calls)

        async def call(number):
            num_answered = 0
            # Not in step: half of them come while the other half is answered.
            await asyncio.sleep(0.002 * (number % 2))
            while now() < 2:
                await asyncio.sleep(pauses.uniform(0, most_pause_s))
                request = InferRequest("net", "", "id", [ROW], deadline_s=now() + 1000)
                try:
                    await batcher.submit(request, 1, now())
                    num_answered += 1
                except InternalError:
                    pass
            return num_answered

        rows = sum(await asyncio.gather(*[call(number) for number in range(num_callers)]))
        assert batcher.num_calls == batcher.waiting_rows == 0
        return backend, backend.busy_s / (workers * now()), rows / now()

    return run_gateway(main, monkeypatch)


def test_a_worker_does_not_idle_while_its_next_batch_is_on_its_way(monkeypatch):
    def run_s(num_rows):
        return 0.004 + 0.00005 * num_rows

    _, late_busy, late_rows = use(monkeypatch, run_s, max_calls=1)
    backend, busy, rows = use(monkeypatch, run_s)
    assert late_busy < 0.81
    assert busy > 0.97
    assert rows > 1.2 * late_rows
    # No smaller for having left earlier: half of the callers in each.
    assert np.mean([len(batch) for batch in backend.batches[40:]]) > 15


def test_nothing_but_a_full_batch_leaves_early_where_ends_cannot_be_predicted(monkeypatch):
    generator = random.Random(1)
    backend, _, _ = use(monkeypatch, lambda num_rows: generator.choice([0.002, 0.02]))
    assert backend.most_calls == 1


@pytest.mark.parametrize("workers", [2, 3])
def test_at_most_one_batch_waits_at_each_worker(monkeypatch, workers):
    backend, busy, _ = use(monkeypatch, lambda num_rows: 0.005, workers=workers, num_callers=60, most_pause_s=0.005)
    assert workers < backend.most_calls <= 2 * workers
    assert busy > 0.9


def test_calls_that_fail_leave_nothing_behind(monkeypatch):
    generator = random.Random(1)

    def fail_sometimes(rows):
        if generator.random() < 0.1:
            raise InternalError("broken", cause="a test")

    backend, busy, _ = use(monkeypatch, lambda num_rows: 0.005, before_answer=fail_sometimes)
    assert busy > 0.7
    assert backend.most_calls <= 2


def test_an_archive_that_tells_no_times_is_asked_no_more_than_others(monkeypatch):
    asked = []
    monkeypatch.setattr("services.gateway.batching.ask_for_times", lambda packed: asked.append(packed) or packed)
    monkeypatch.setattr("services.gateway.batching.read_times", lambda answer: None)
    backend, _, _ = use(monkeypatch, lambda num_rows: 0.005)
    assert backend.most_calls == 1
    assert len(asked) < 20 + len(backend.batches) / 7
