"""What a scenario does: its requests, sent by one generator or several, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.addresses import Addresses
from loadtests.generate.plan import NO_BOUND_MS, OpenLoop, Protocol, Scheduled, Traffic, aim
from loadtests.generate.processes import run_open_loop, run_scheduled
from loadtests.judge.load import Load, describe_load
from loadtests.judge.verdict import Verdict, judge
from loadtests.measure.host import Host
from loadtests.measure.recording import Part, Recording
from loadtests.presets import MULTI_STREAM_ROWS
from loadtests.results import Scenario as MlperfScenario
from loadtests.scenario import Replay, Scenario, ScenarioError, Streams, Target, schedule_arrivals
from loadtests.subject import Subject

KINDS: dict[str, MlperfScenario] = {
    "singlestream": "SingleStream",
    "multistream": "MultiStream",
    "offline": "Offline",
}


class Outcome(Part):
    """One target of a scenario: what it did, and whether it held the bound; Offline, which has none, is only valid."""

    model: str
    version: str
    kind: str
    protocol: Protocol
    recording: Recording
    load: Load | None
    verdict: Verdict

    @property
    def name(self) -> str:
        return f"{self.model} {self.version}".rstrip()

    @property
    def is_good(self) -> bool:
        return self.verdict.valid and (self.load is None or self.load.state == "held")


class ScenarioResults(Part):
    """`scenario.json`: what was asked for and what came of it, with the recordings of a campaign's runs."""

    name: str
    created: str
    command: str
    host: Host
    scenario: Scenario
    outcomes: tuple[Outcome, ...]


def run_scenario(
    plan: Scenario, subjects: Sequence[Subject], addresses: Addresses, *, processes: int = 1
) -> list[Outcome]:
    """Send what a scenario says to its targets' server, and judge each target.

    Raises:
        ScenarioError: a recorded file is no such, or no request came of it.
        GeneratorError: a generator broke.
    """
    traffics = [_aim(plan, target, subject, addresses) for target, subject in zip(plan.targets, subjects, strict=True)]
    if isinstance(plan.load, Streams):
        kind = KINDS[plan.load.kind]
        recording = run_open_loop(
            OpenLoop(traffic=traffics[0], scenario=kind, measure_s=plan.load.seconds, bound_ms=NO_BOUND_MS)
        )
        return [judge_target(plan, traffics[0], recording)]
    recordings = run_scheduled(_schedule(plan, traffics), processes=processes)
    return [judge_target(plan, *each) for each in zip(traffics, recordings, strict=True)]


def judge_target(plan: Scenario, traffic: Traffic, recording: Recording) -> Outcome:
    """Judge what one target did, within the bound; Offline has none."""
    bound_ms = None if plan.load.kind == "offline" else plan.bound_ms
    load = None if bound_ms is None else describe_load(recording, bound_ms)
    verdict = judge(recording, bound_ms=bound_ms, needs_percentile=bound_ms is not None)
    return Outcome(
        model=traffic.model,
        version=traffic.version,
        kind=plan.load.kind,
        protocol=traffic.protocol,
        recording=recording,
        load=load,
        verdict=verdict,
    )


def _aim(plan: Scenario, target: Target, subject: Subject, addresses: Addresses) -> Traffic:
    is_multi = isinstance(plan.load, Streams) and plan.load.kind == "multistream"
    rows = min(MULTI_STREAM_ROWS, subject.manifest.max_rows) if is_multi and target.rows == 1 else target.rows
    traffic = aim(subject, addresses, protocol=plan.protocol, rows_per_request=rows)
    return traffic.model_copy(update=target.called.model_dump()) if target.called else traffic


def _schedule(plan: Scenario, traffics: Sequence[Traffic]) -> Scheduled:
    times_s, picks = schedule_arrivals(plan)
    if not len(times_s):
        raise ScenarioError(f"{plan.name}: no request came of so low a rate in so short a time")
    load = plan.load
    length_s = float(times_s[-1]) if isinstance(load, Replay) else plan.warm_up_s + load.seconds
    return Scheduled(
        traffics=tuple(traffics),
        length_s=length_s,
        times_s=tuple(times_s.tolist()),
        picks=tuple(picks.tolist()),
        warm_up_s=plan.warm_up_s,
        timeout_s=max(10.0, plan.bound_ms / 50),
    )
