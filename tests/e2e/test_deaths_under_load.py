"""Workers that die or stand still, and an engine that dies, while calls keep coming at half of what is answered."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

import numpy as np
import psutil
import pytest
import uvloop

from loadtests.bench.arrivals import measure_capacity, send_poisson
from loadtests.generate.lean_grpc import open_lean_channel
from tests.background import meanwhile
from tests.e2e.conftest import Served
from tests.e2e.test_life_and_death import scale_request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NUM_WORKERS = 2
BODIES = [scale_request(value) for value in (1.0, 2.0, 3.0)]
KILL_EVERY_S, KILL_FOR_S, PATIENCE_S = 5.0, 60.0, 30.0
STOPPED_S, DEADLINE_S = 20.0, 5.0
# A batch in the worker, one before it in TorchServe, and their rows.
MOST_HELD = 2 * 32


@pytest.fixture(scope="module")
def pair(released, tmp_path_factory):
    served = Served(released, tmp_path_factory.mktemp("pair"), "scale", "--workers", str(NUM_WORKERS))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def half_load(pair):
    """Half of the calls a second that sixteen callers get answered."""
    return uvloop.run(measure_capacity(pair.grpc, BODIES, 16)) / 2


def send(served, rate, seconds, deadline_s):
    """Send calls at random moments; returns them when the last one has ended."""

    async def run():
        async with open_lean_channel(served.grpc) as channel:
            calls = await send_poisson(channel, BODIES, rate, seconds, deadline_s)
            end_s = time.monotonic() + deadline_s + 5
            while any(call.status == "NO_ANSWER" for call in calls) and time.monotonic() < end_s:
                await asyncio.sleep(0.1)
            return calls

    return uvloop.run(run())


def describe(what, calls):
    times_ms = 1e3 * np.array([call.took_s for call in calls if call.status == "OK"])
    quantiles = dict(zip(("p50", "p99", "most"), np.quantile(times_ms, (0.5, 0.99, 1)).round(1).tolist(), strict=True))
    print(f"\n{what}: {len(calls)} calls, {dict(Counter(call.status for call in calls))}, ms {quantiles}")


def test_no_call_fails_while_a_worker_is_killed_every_five_seconds(pair, half_load):
    killed = []

    def kill(stop):
        while not stop.wait(KILL_EVERY_S):
            workers = pair.workers("scale")
            if workers:
                workers[len(killed) % len(workers)].kill()
                killed.append(time.monotonic())

    with meanwhile(kill):
        calls = send(pair, half_load, KILL_FOR_S, PATIENCE_S)
    describe(f"{len(killed)} workers killed at {half_load:.0f} calls/s", calls)
    assert len(killed) >= KILL_FOR_S / KILL_EVERY_S - 2
    assert Counter(call.status for call in calls) == {"OK": len(calls)}


def wait_for_workers(served, count):
    end_s = time.monotonic() + 60
    while len(served.workers("scale")) < count:
        assert time.monotonic() < end_s
        time.sleep(0.2)


def test_a_worker_that_stands_still_holds_only_its_own_calls_until_their_deadline(pair, half_load):
    wait_for_workers(pair, NUM_WORKERS)
    stopped = pair.workers("scale")[0]

    def stop_and_go_on(stop):
        time.sleep(2)
        stopped.send_signal(signal.SIGSTOP)
        stop.wait(STOPPED_S)
        stopped.send_signal(signal.SIGCONT)

    with meanwhile(stop_and_go_on):
        calls = send(pair, half_load, STOPPED_S + 6, DEADLINE_S)
    describe(f"a worker stopped for {STOPPED_S:.0f} s at {half_load:.0f} calls/s", calls)
    late = [call for call in calls if call.status != "OK"]
    assert {call.status for call in late} <= {"DEADLINE_EXCEEDED"}
    assert 0 < len(late) <= MOST_HELD
    assert all(call.took_s == pytest.approx(DEADLINE_S, abs=1) for call in late)
    assert psutil.pid_exists(stopped.pid)


def test_without_an_engine_calls_are_refused_as_unavailable_until_it_is_back_by_itself(pair, half_load):
    wait_for_workers(pair, NUM_WORKERS)
    (java,) = [process for process in pair.processes() if process.name() == "java"]
    killed_s = 2.0

    def kill(stop):
        time.sleep(killed_s)
        java.kill()

    with meanwhile(kill):
        calls = send(pair, half_load, 40.0, PATIENCE_S)
    describe(f"the engine killed at {half_load:.0f} calls/s", calls)
    refused = [call for call in calls if call.status != "OK"]
    assert {call.status for call in refused} == {"UNAVAILABLE"}
    back_s = max(call.ended_s for call in refused)
    print(f"answers again after {back_s - killed_s:.1f} s")
    assert back_s < 38
    assert all(call.status == "OK" for call in calls if call.scheduled_s > back_s)
    assert sum(call.scheduled_s > back_s for call in calls) > half_load
