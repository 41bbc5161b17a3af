"""The measuring itself: which generator runs when, against which variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from loadtests.generate.agreement import compare_doors
from loadtests.generate.generator import ClosedLoop, OpenLoop, Traffic, aim, run_closed_loop, run_open_loop
from loadtests.judge.recommendation import find_peak_rows_per_s, recommend
from loadtests.judge.verdict import holds_bound, judge
from loadtests.measure.metrics import Metrics
from loadtests.measure.recording import Recording
from loadtests.measure.scraper import scrape
from loadtests.measure.time_split import split_time
from loadtests.presets import Preset
from loadtests.results import Kind, ModelResults, Run, Scenario
from loadtests.subject import Subject, list_subjects
from model_store.store import Release

START_S = 2.0  # a generator process imports Locust or LoadGen for about this long
MULTI_STREAM_ROWS = 8  # as MLPerf has it

Advance = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the server answers."""

    grpc: str = "localhost:8001"
    http: str = "http://localhost:8000"
    metrics: str = "http://localhost:8002/metrics"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A plan against one server; `advance` is told what has been done and how many seconds it was planned to take."""

    addresses: Addresses
    preset: Preset
    bound_ms: float
    processes: int
    advance: Advance

    def measure(self, release: Release) -> tuple[ModelResults, str]:
        """Measure every variant of a release that may be served; also return who scraped the metrics."""
        subjects = list_subjects(release)
        with scrape(self.addresses.metrics) as collect:
            default = next(subject for subject in subjects if subject.is_default)
            agreement = compare_doors(default, grpc_url=self.addresses.grpc, http_url=self.addresses.http)
            runs = list(self._run_all(subjects, default))
            metrics = collect()
        runs = [_with_split(run, release.model, metrics) for run in runs]
        manifests = tuple(release.manifests.values())
        results = ModelResults(
            index=release.index,
            manifests=manifests,
            agreement=agreement,
            runs=tuple(runs),
            recommendation=recommend(release.index, manifests, runs, self.bound_ms),
        )
        return results, metrics.source

    def _run_all(self, subjects: Sequence[Subject], default: Subject) -> Iterator[Run]:
        sweeps: list[Run] = []
        for round_ in range(self.preset.rounds):
            for subject in subjects:
                sweeps += self._sweep(subject, round_, self.preset.callers, "grpc")
        yield from sweeps
        yield from self._sweep(default, 0, self.preset.rest_callers, "rest")
        for subject in subjects:
            peak = find_peak_rows_per_s(sweeps, subject.manifest.version)
            yield from self._search_rate(subject, peak)
            yield from self._run_fixed_scenarios(subject)

    def _sweep(self, subject: Subject, round_: int, callers: tuple[int, ...], protocol: str) -> Iterator[Run]:
        preset = self.preset
        url = self.addresses.grpc if protocol == "grpc" else self.addresses.http
        plan = ClosedLoop(
            traffic=aim(subject, url=url, protocol="grpc" if protocol == "grpc" else "rest"),
            callers=callers,
            warm_up_s=preset.warm_up_s,
            measure_s=preset.measure_s,
        )
        recordings = run_closed_loop(plan, processes=self.processes)
        self.advance(f"{subject.name}: {protocol} sweep", estimate_sweep_s(preset, callers))
        for num_callers, recording in zip(callers, recordings, strict=True):
            yield _make_run(subject, "closed loop", recording, plan.traffic, round_=round_, callers=num_callers)

    def _search_rate(self, subject: Subject, peak: float) -> Iterator[Run]:
        """Search for the highest rate of random arrivals that holds the bound."""
        held, failed = 0.0, float("inf")
        rate = self.preset.first_probe * peak
        for probe in range(self.preset.probes):
            run = self._run_scenario(subject, "Server", rate=rate, measure_s=self.preset.probe_s, round_=probe)
            yield run
            if run.holds_bound:
                held = rate
                rate = (held + failed) / 2 if failed < float("inf") else min(1.15 * rate, max(peak, 1.05 * rate))
            else:
                failed = rate
                rate = (held + failed) / 2 if held else 0.7 * rate

    def _run_fixed_scenarios(self, subject: Subject) -> Iterator[Run]:
        rows = subject.manifest.max_rows
        yield self._run_scenario(subject, "Offline", measure_s=self.preset.offline_s, rows=rows)
        if self.preset.streams:
            yield self._run_scenario(subject, "SingleStream", measure_s=self.preset.probe_s)
            rows = min(MULTI_STREAM_ROWS, rows)
            yield self._run_scenario(subject, "MultiStream", measure_s=self.preset.probe_s, rows=rows)

    def _run_scenario(
        self,
        subject: Subject,
        kind: Scenario,
        *,
        measure_s: float,
        rate: float | None = None,
        rows: int = 1,
        round_: int = 0,
    ) -> Run:
        traffic = aim(subject, url=self.addresses.grpc, rows_per_request=rows)
        plan = OpenLoop(traffic=traffic, scenario=kind, measure_s=measure_s, bound_ms=self.bound_ms, rate=rate or 1.0)
        recording = run_open_loop(plan)
        self.advance(f"{subject.name}: {kind}", measure_s + START_S)
        run = _make_run(subject, kind, recording, traffic, round_=round_, rate=rate)
        return run.model_copy(update={"holds_bound": holds_bound(recording, self.bound_ms)}) if rate else run


def estimate_sweep_s(preset: Preset, callers: Sequence[int]) -> float:
    """How long a sweep takes."""
    return START_S + len(callers) * (preset.warm_up_s + preset.measure_s)


def estimate_campaign_s(preset: Preset, num_variants: int) -> float:
    """How long a campaign against this many variants takes."""
    scenarios_s = preset.probes * (preset.probe_s + START_S) + preset.offline_s + START_S
    streams_s = 2 * (preset.probe_s + START_S) if preset.streams else 0.0
    variant_s = preset.rounds * estimate_sweep_s(preset, preset.callers) + scenarios_s + streams_s
    return num_variants * variant_s + estimate_sweep_s(preset, preset.rest_callers)


def _make_run(
    subject: Subject,
    kind: Kind,
    recording: Recording,
    traffic: Traffic,
    *,
    round_: int,
    callers: int | None = None,
    rate: float | None = None,
) -> Run:
    return Run(
        version=subject.manifest.version,
        kind=kind,
        protocol=traffic.protocol,
        round=round_,
        callers=callers,
        rate=rate,
        recording=recording,
        verdict=judge(recording),
    )


def _with_split(run: Run, model: str, metrics: Metrics) -> Run:
    return run.model_copy(update={"split": split_time(run.recording, metrics, model=model, version=run.version)})
