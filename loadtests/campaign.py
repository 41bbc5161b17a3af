"""The measuring itself: which generator runs when, against which variant."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from loadtests.addresses import Addresses
from loadtests.bound import choose_bound
from loadtests.generate.agreement import compare_doors
from loadtests.generate.plan import ClosedLoop, OpenLoop, Probing, Protocol, Remote, Traffic, aim
from loadtests.generate.processes import run_closed_loop, run_open_loop, run_rate_search, run_remote_closed_loop
from loadtests.judge.load import describe_load
from loadtests.judge.rate_search import RateSearch
from loadtests.judge.recommendation import find_peak_rows_per_s, recommend
from loadtests.judge.settling import find_times_longer, may_settle
from loadtests.judge.significance import find_minimum_requests, find_supported_percentile
from loadtests.judge.verdict import MINIMUM_PERCENTILE, judge
from loadtests.measure.metrics import WORKER_BYTES, Metrics
from loadtests.measure.neighbours import Neighbours, watch_neighbours
from loadtests.measure.recording import Recording
from loadtests.measure.scraper import scrape
from loadtests.measure.time_split import split_time
from loadtests.presets import MULTI_STREAM_ROWS, START_S, Preset, estimate_confirmation_s, estimate_sweep_s
from loadtests.results import Kind, ModelResults, Run, Scenario, Search
from loadtests.subject import Subject, choose_subjects
from model_store.release import Release

GENERATORS = ("closed_loop", "probing", "open_loop")
FIRST_PROBE = 0.5  # of the sweep's peak
STEP_DOWN = 0.9
CONFIRMATIONS = 3
MOST_REPEATS = 3
# A confirmation goes on until p99 can be shown with a few requests over it, within reason; where that cannot be, p90.
CONFIRM_OVER, MOST_CONFIRM = 3, 2.5

Advance = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A plan against one server; `advance` is told what has been done and how many seconds it was planned to take.

    Of a model its reference, its default and `variants` (names, `front` or `all`) are measured. Without `bound_ms` each
    model gets one from its own service time. The callers of closed loops are `processes` on this machine, or `remote`
    ones.
    """

    addresses: Addresses
    preset: Preset
    processes: int
    advance: Advance
    variants: Sequence[str] = ("all",)
    remote: Remote | None = None
    bound_ms: float | None = None

    def measure(self, release: Release, end_s: float) -> tuple[ModelResults, str]:
        """Measure variants of a release; also return who scraped the metrics.

        Runs are made again until `end_s`, a time by `monotonic`.
        """
        subjects = choose_subjects(release, self.variants)
        searches: list[Search] = []
        default = next(subject for subject in subjects if subject.is_default)
        agreement = compare_doors(default, self.addresses)
        with scrape(self.addresses.metrics) as collect:
            runs = list(self._sweep_all(subjects, default))
            bound = choose_bound(self.bound_ms, runs, subjects[0])
            for subject in subjects:
                peak = find_peak_rows_per_s(runs, subject.manifest.version)
                found = self._search_rate(subject, FIRST_PROBE * max(peak, 1.0), bound.ms)
                searches.append(Search(version=subject.manifest.version, found=found))
                runs += self._confirm_rate(subject, found, bound.ms)
                runs += self._run_fixed_scenarios(subject, bound.ms)
            # Rates that had to be confirmed twice, or generators that started slowly, do not take the repeats' time.
            end_s = max(end_s, monotonic() + self.preset.repeats_s)
            runs = self._repeat_unsettled(runs, subjects, bound.ms, end_s)
            metrics = collect()
        runs = [_add_metrics(run, release.model, metrics) for run in runs]
        manifests = tuple(release.manifests.values())
        results = ModelResults(
            index=release.index,
            manifests=manifests,
            agreement=agreement,
            bound=bound,
            runs=tuple(runs),
            searches=tuple(searches),
            recommendation=recommend(release.index, manifests, runs, bound.ms),
            alerts=tuple(metrics.list_alerts(release.model)),
        )
        return results, metrics.source

    def _sweep_all(self, subjects: Sequence[Subject], default: Subject) -> Iterator[Run]:
        spare_s = 0.0  # what a quiet minute leaves of its time, a noisy one may use
        for round_ in range(self.preset.rounds):
            for subject in subjects:
                runs = list(self._sweep(subject, round_, self.preset.callers, "grpc", spare_s))
                used_s = sum(run.recording.duration_s for run in runs)
                spare_s = max(0.0, spare_s + len(runs) * self.preset.most_s - used_s)
                yield from runs
        if self.preset.rest_callers:
            yield from self._sweep(default, 0, self.preset.rest_callers, "rest", spare_s)

    def _sweep(
        self,
        subject: Subject,
        round_: int,
        callers: tuple[int, ...],
        protocol: Protocol,
        spare_s: float,
        *,
        is_planned: bool = True,
    ) -> Iterator[Run]:
        preset = self.preset
        plan = ClosedLoop(
            traffic=aim(subject, self.addresses, protocol=protocol),
            callers=callers,
            warm_up_s=preset.warm_up_s,
            least_s=preset.least_s,
            most_s=preset.most_s,
            wanted_error=preset.wanted_error,
            spare_s=spare_s,
        )
        planned_s = estimate_sweep_s(preset, callers) if is_planned else 0.0
        with self._step(f"{subject.name}: {protocol} sweep", planned_s) as neighbours:
            recordings = (
                run_remote_closed_loop(plan, self.remote)
                if self.remote
                else run_closed_loop(plan, processes=self.processes)
            )
            around = neighbours()
        for num_callers, recording in zip(callers, recordings, strict=True):
            yield _make_run(subject, "closed loop", recording, plan.traffic, around, round_=round_, callers=num_callers)

    def _confirm_rate(self, subject: Subject, found: RateSearch, bound_ms: float) -> Iterator[Run]:
        """Confirm the rate that a search found, or lower ones: each well below what the last run was answered at."""
        # Where nothing held, a run at the lowest rate that was shown to fail shows what that looks like.
        failed = [probe.rate for probe in found.probes if probe.outcome == "fails"]
        rate = found.held or min(failed or [probe.rate for probe in found.probes])
        longest_s = MOST_CONFIRM * self.preset.confirm_s if found.held or not failed else 0.0
        percentile = find_supported_percentile(int(rate * longest_s), at_most=99.0) or MINIMUM_PERCENTILE
        enough_s = find_minimum_requests(percentile, CONFIRM_OVER) / rate
        measure_s = max(self.preset.confirm_s, min(longest_s, enough_s))
        for attempt in range(CONFIRMATIONS):
            run = self._run_scenario(subject, "Server", bound_ms, rate=rate, measure_s=measure_s, round_=attempt)
            yield run
            if found.held is None or run.holds_bound:
                return
            # On a host that became slower since the search, a little less than what it fell behind at proves nothing.
            rate = STEP_DOWN * min(rate, run.recording.requests_per_s)

    def _search_rate(self, subject: Subject, first_rate: float, bound_ms: float) -> RateSearch:
        preset = self.preset
        plan = Probing(
            traffic=aim(subject, self.addresses),
            bound_ms=bound_ms,
            first_rate=first_rate,
            warm_up_s=preset.warm_up_s,
            least_s=preset.least_probe_s,
            most_s=preset.most_probe_s,
            budget_s=preset.search_s,
            resolution=preset.resolution,
        )
        with self._step(f"{subject.name}: rate within {bound_ms:g} ms", START_S + preset.search_s):
            return run_rate_search(plan)

    def _run_fixed_scenarios(self, subject: Subject, bound_ms: float) -> Iterator[Run]:
        preset, rows = self.preset, subject.manifest.max_rows
        if preset.offline_s:
            yield self._run_scenario(subject, "Offline", bound_ms, measure_s=preset.offline_s, rows=rows)
        if preset.streams:
            yield self._run_scenario(subject, "SingleStream", bound_ms, measure_s=preset.confirm_s)
            rows = min(MULTI_STREAM_ROWS, rows)
            yield self._run_scenario(subject, "MultiStream", bound_ms, measure_s=preset.confirm_s, rows=rows)

    def _repeat_unsettled(
        self, runs: Sequence[Run], subjects: Sequence[Subject], bound_ms: float, end_s: float
    ) -> list[Run]:
        """Make runs again that did not settle and that end within the time; each says how often that was done.

        What decides is whether the noise was less this time, never what was measured.
        """
        found = list(runs)
        known = {subject.manifest.version: subject for subject in subjects}
        unsettled = [index for index, run in enumerate(found) if self.preset.repeats_s and may_settle(run.verdict)]
        # Rates first: they are what a variant is recommended by.
        waiting = deque(sorted(unsettled, key=lambda index: found[index].rate is None))
        while waiting:
            index = waiting.popleft()
            run = found[index]
            if monotonic() + self._estimate_repeat_s(run) > end_s:
                continue
            again = self._repeat(run, known[run.version], bound_ms)
            found[index] = again.model_copy(update={"repeats": run.repeats + 1})
            if may_settle(again.verdict) and run.repeats + 1 < MOST_REPEATS:
                waiting.append(index)
        self.advance("repeats", self.preset.repeats_s)
        return found

    def _repeat(self, run: Run, subject: Subject, bound_ms: float) -> Run:
        recording = run.recording
        measure_s = self._find_repeat_s(run)
        if run.callers is not None:
            spare_s = measure_s - self._find_length_s(run)
            (again,) = self._sweep(subject, run.round, (run.callers,), run.protocol, spare_s, is_planned=False)
            return again
        assert run.kind != "closed loop"
        # LoadGen decides beforehand how much to send: a level that is to last longer is a run of its own.
        return self._run_scenario(
            subject,
            run.kind,
            bound_ms,
            measure_s=measure_s,
            rate=run.rate,
            rows=recording.rows_per_request,
            round_=run.round,
            is_planned=False,
        )

    def _estimate_repeat_s(self, run: Run) -> float:
        return START_S + self.preset.warm_up_s + self._find_repeat_s(run)

    def _find_repeat_s(self, run: Run) -> float:
        """How long it lasts when it is made again."""
        return self._find_length_s(run) * find_times_longer(run.recording, run.verdict)

    def _find_length_s(self, run: Run) -> float:
        """How long a run was to last."""
        if run.callers is not None:
            return self.preset.most_s
        if run.kind == "Offline":
            return self.preset.offline_s
        return run.recording.arrivals_s or self.preset.confirm_s

    def _run_scenario(
        self,
        subject: Subject,
        kind: Scenario,
        bound_ms: float,
        *,
        measure_s: float,
        rate: float | None = None,
        rows: int = 1,
        round_: int = 0,
        is_planned: bool = True,
    ) -> Run:
        traffic = aim(subject, self.addresses, rows_per_request=rows)
        plan = OpenLoop(
            traffic=traffic,
            scenario=kind,
            measure_s=measure_s,
            bound_ms=bound_ms,
            warm_up_s=self.preset.warm_up_s if rate else 0.0,
            rate=rate or 1.0,
        )
        planned_s = estimate_confirmation_s(self.preset) if rate else measure_s + START_S
        planned_s = 0.0 if round_ or not is_planned else planned_s
        with self._step(f"{subject.name}: {kind}", planned_s) as neighbours:
            recording = run_open_loop(plan)
            around = neighbours()
        return _make_run(
            subject, kind, recording, traffic, around, round_=round_, rate=rate, bound_ms=bound_ms if rate else None
        )

    @contextmanager
    def _step(self, what: str, planned_s: float) -> Iterator[Callable[[], Neighbours]]:
        with watch_neighbours() as neighbours:
            yield neighbours
        self.advance(what, planned_s)


def _make_run(
    subject: Subject,
    kind: Kind,
    recording: Recording,
    traffic: Traffic,
    neighbours: Neighbours,
    *,
    round_: int,
    callers: int | None = None,
    rate: float | None = None,
    bound_ms: float | None = None,
) -> Run:
    return Run(
        version=subject.manifest.version,
        kind=kind,
        protocol=traffic.protocol,
        round=round_,
        callers=callers,
        rate=rate,
        recording=recording,
        verdict=judge(recording, bound_ms=bound_ms, needs_percentile=kind != "Offline"),
        load=describe_load(recording, bound_ms) if bound_ms is not None else None,
        neighbours=neighbours,
    )


def _add_metrics(run: Run, model: str, metrics: Metrics) -> Run:
    recording, labels = run.recording, {"model": model, "version": run.version}
    end = recording.started + recording.duration_s
    worker_bytes = metrics.find_largest(WORKER_BYTES, recording.started, end, **labels)
    return run.model_copy(
        update={
            "split": split_time(recording, metrics, **labels),
            "worker_bytes": None if worker_bytes is None else round(worker_bytes),
        }
    )
