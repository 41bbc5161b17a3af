import numpy as np
import pytest

from loadtests.bench.open_loop import measure_late_wakeups
from loadtests.bench.sink import run_sink
from loadtests.generate.plan import OpenLoop, Traffic
from loadtests.generate.processes import run_open_loop
from model_store.examples import write_examples


def test_processes_share_the_arrivals_and_the_sink_answers_all(tmp_path):
    write_examples(tmp_path / "examples.npz", {"x": np.zeros((1, 150), np.float32)})
    with run_sink() as address:
        traffic = Traffic(
            url=address, model="sink", version="1", examples_path=tmp_path / "examples.npz", input_names=("x",)
        )
        plan = OpenLoop(traffic=traffic, scenario="Server", rate=200.0, measure_s=1.0, bound_ms=1000.0)
        recording = run_open_loop(plan, processes=2)
    assert recording.num_offered == pytest.approx(200, rel=0.3)
    assert (recording.cost.processes, recording.errors) == (2, {})


def test_sleeps_that_end_late_are_counted(monkeypatch):
    now_s, lates_s = [0.0], iter([0.0, 0.0005, 0.002, 0.004] * 25)

    def sleep(seconds):
        now_s[0] += seconds + next(lates_s)

    monkeypatch.setattr("loadtests.bench.open_loop.time.perf_counter", lambda: now_s[0])
    monkeypatch.setattr("loadtests.bench.open_loop.time.sleep", sleep)
    # Gaps of a second: what one sleep is late by does not reach the next.
    assert measure_late_wakeups(1.0, 100.0) == pytest.approx(0.5, abs=0.03)
