"""A campaign in virtual time against a machine whose pace wanders."""

import numpy as np

from loadtests.addresses import Addresses
from loadtests.campaign import Campaign
from loadtests.generate.stopping import count_spare_s, has_lasted
from loadtests.judge.rate_search import RateSearch
from loadtests.measure.recording import Recorder
from loadtests.presets import PRESETS, START_S, estimate_campaign_s
from loadtests.results import count_valid
from tests.loadtests import synthetic
from tests.services.client.open_inference_server import run_server

SERVICE_S = 0.02
STEP_S, LOOK_S = 0.25, 0.5


class Machine:
    """Takes `SERVICE_S` on average, times a pace that wanders by `noise` and forgets within some seconds."""

    def __init__(self, seed, *, noise, memory_s=0.5, start_s=START_S):
        random, share = np.random.default_rng(seed), np.exp(-STEP_S / memory_s)
        paces = [0.0]
        for step in random.normal(0, noise * (1 - share**2) ** 0.5, 4000):
            paces.append(share * paces[-1] + step)
        self._paces = np.exp(paces)
        self.now_s, self._start_s = 0.0, start_s

    def serve(self, time_s):
        return SERVICE_S * self._paces[int((self.now_s + time_s) / STEP_S) % len(self._paces)]

    def sweep(self, plan, processes):
        self.now_s += self._start_s
        spare_s, recordings = plan.spare_s, []
        for _ in plan.callers:
            self.now_s += plan.warm_up_s
            recorder, time_s, look_s = Recorder(started=0.0), 0.0, plan.least_s
            while True:
                time_s += (took_s := self.serve(time_s))
                if time_s >= look_s:
                    if has_lasted(plan, spare_s, recorder.find_means_ms(look_s), look_s):
                        break
                    look_s = min(look_s + LOOK_S, plan.most_s + spare_s)
                recorder.record(time_s, took_s)
            self.now_s += look_s
            recordings.append(recorder.finish(duration_s=look_s, cpu_s=0.1))
            spare_s = count_spare_s(plan, spare_s, look_s)
        return recordings

    def send(self, plan):
        self.now_s += self._start_s + plan.warm_up_s
        if plan.scenario == "Offline":
            recording = synthetic.run_closed(lambda time_s: 8 * self.serve(time_s), length_s=plan.measure_s, callers=4)
        else:
            random = np.random.default_rng(round(1e3 * self.now_s))

            def answer(arrivals):
                late = random.random(len(arrivals)) < 0.002
                return arrivals + np.where(late, 2 * plan.bound_ms / 1e3, SERVICE_S), [""] * len(arrivals)

            recording = synthetic.run(answer, plan.rate, plan.measure_s).recording
        self.now_s += plan.measure_s
        return recording

    def search(self, plan):
        self.now_s += plan.budget_s
        return RateSearch(bound_ms=plan.bound_ms, held=250.0, failed=280.0, probes=())


def measure(machine, preset, release, addresses, monkeypatch):
    monkeypatch.setattr("loadtests.campaign.run_closed_loop", machine.sweep)
    monkeypatch.setattr("loadtests.campaign.run_open_loop", machine.send)
    monkeypatch.setattr("loadtests.campaign.run_rate_search", machine.search)
    monkeypatch.setattr("loadtests.campaign.monotonic", lambda: machine.now_s)
    campaign = Campaign(addresses=addresses, preset=preset, processes=1, advance=lambda what, planned_s: None)
    return campaign.measure(release, end_s=estimate_campaign_s(preset, len(release.variants)))[0]


def test_a_demo_on_a_wandering_machine_is_mostly_valid_within_the_planned_time(store, rest_url, monkeypatch):
    machine = Machine(0, noise=0.07)
    with run_server() as server:
        addresses = Addresses(grpc=server.url, http=rest_url, metrics=f"{rest_url}/metrics")
        results = measure(machine, PRESETS["demo"], store.open("double", 1), addresses, monkeypatch)
    assert machine.now_s <= estimate_campaign_s(PRESETS["demo"], 2) + 1
    valid, runs = count_valid(results.runs)
    assert valid / runs >= 0.8
    assert sum(run.repeats for run in results.runs) > 0  # without them it would not have been


def test_a_plan_that_overran_still_has_its_time_for_repeats(store, rest_url, monkeypatch):
    preset, late_s = PRESETS["demo"], 10.0
    machine = Machine(0, noise=0.07, start_s=START_S + late_s)
    with run_server() as server:
        addresses = Addresses(grpc=server.url, http=rest_url, metrics=f"{rest_url}/metrics")
        results = measure(machine, preset, store.open("double", 1), addresses, monkeypatch)
    num_starts = 3 + sum(run.kind != "closed loop" for run in results.runs)
    overrun_s = num_starts * late_s
    assert overrun_s > preset.repeats_s
    repeats = sum(run.repeats for run in results.runs)
    assert repeats > 0
    assert machine.now_s <= estimate_campaign_s(preset, 2) + overrun_s + repeats * late_s + 1
