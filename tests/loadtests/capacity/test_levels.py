"""Levels against a server in virtual time that answers so many rows a second, first come first served."""

import numpy as np
import pytest

from loadtests.capacity import levels, slices
from loadtests.capacity.levels import Levels, Plan, find_capacity
from loadtests.capacity.slices import run_slices
from loadtests.measure.recording import Recorder
from loadtests.subject import Subject
from tests.builders import make_manifest


class Server:
    """Answers `capacities` rows a second, one after the other for each run, the last for all others."""

    def __init__(self, *capacities):
        self.capacities = list(capacities)
        self.offered = []

    def run(self, plan):
        capacity = self.capacities.pop(0) if len(self.capacities) > 1 else self.capacities[0]
        end_s = plan.measure_s + plan.warm_up_s
        recorder = Recorder(started=0.0, warm_up_s=plan.warm_up_s)
        if plan.scenario == "Offline":
            for number in range(round(capacity * plan.measure_s)):
                recorder.record((number + 1) / capacity, 0.1)
            return recorder.finish(duration_s=plan.measure_s, cpu_s=1.0)
        self.offered.append(round(plan.rate))
        free_s = 0.0
        for due_s in np.arange(0, end_s, 1 / plan.rate):
            free_s = max(free_s, due_s) + 1 / capacity
            recorder.record_scheduled(due_s, due_s, free_s)
        return recorder.finish(duration_s=free_s - plan.warm_up_s, cpu_s=1.0, arrivals_s=plan.measure_s)


@pytest.fixture
def start(monkeypatch, tmp_path):
    def start(*capacities):
        server = Server(*capacities)
        monkeypatch.setattr(levels, "run_open_loop", server.run)
        monkeypatch.setattr(slices, "INTERVAL_S", 0.0)
        subject = Subject(manifest=make_manifest(), examples_path=tmp_path, is_default=True)
        return server, Levels(subject, "127.0.0.1:1", Plan(level_s=2.0), 1, lambda what, planned_s: None)

    return start


def test_more_is_offered_until_not_all_of_it_is_answered(start):
    server, found = start(500, 1000)  # in bundles, and at random once the machine is faster
    assert find_capacity(found.saturate()) == pytest.approx(1000, rel=0.02)
    assert server.offered == [625, 781, 977, 1221]


@pytest.mark.parametrize("capacity", [1000, 500])
def test_what_waits_since_the_warm_up_counts_neither_for_nor_against_it(start, capacity):
    # After a second of 2,500 offered, the first request that counts waits for 1.5 s of the 4 s, or for all of them.
    server, found = start(2000, capacity)
    assert find_capacity(found.saturate(2.0)) == pytest.approx(capacity, rel=0.02)
    assert server.offered[0] == 2500


def test_a_slice_is_offered_its_share_of_what_saturated_just_before(start):
    _, found = start(1000, 1000, 1000, 800)
    first, second = run_slices(found, (0.5, 0.8))
    assert (first.rate, second.rate) == (pytest.approx(500, rel=0.02), pytest.approx(640, rel=0.02))
    assert first.capacities == (pytest.approx(1000, rel=0.02), pytest.approx(800, rel=0.02))
    assert second.capacities[0] == first.capacities[1]
