"""Whether a certificate predicts what requests wait: the bar that it has to reach to be of use.

A shared machine is faster in one minute than in the next, and near its capacity waits answer that tenfold. So the loads
take turns in many short slices, each between two short looks at what saturates now: it is offered a share of the first,
and its waits are predicted for a slice of its length whose pace moves from that of the first to that of the second. All
slices count; what else the pace did between the looks shows as their spread, which decides whether there is a verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import Literal, NamedTuple

from scipy.special import stdtrit

from loadtests.capacity.certifying import CertifyError, Levels, Plan, list_settings, serve_alone
from loadtests.capacity.queueing import Waits, predict_waits, simulate_slices
from loadtests.measure.metrics import Metrics
from loadtests.measure.recording import Part, Recording
from loadtests.measure.scraper import INTERVAL_S, scrape
from loadtests.measure.time_split import split_time
from loadtests.subject import Subject
from model_store.certificate import Certificate

LOADS = (0.5, 0.8, 0.95)
ALLOWED = 0.2
SLICES_PER_ROUND = 3
# Of a level's length: a slice, and a look at what saturates.
SLICE_SHARE, LOOK_SHARE = 0.8, 0.4
# A prediction is the mean of so many slices.
NUM_SIMULATED = 16
FEWEST_SLICES = 3
MOST_ROUNDS = 24  # three take some four minutes

Outcome = Literal["reached", "missed", "too noisy to tell"]


class Slice(Part):
    """Some seconds at a share of the capacity: what was offered, predicted and measured, in ms at the gateway.

    `paces` say how many times as long everything took before and after it as when it was certified.
    """

    rate: float
    paces: tuple[float, float]
    predicted_queue_ms: float
    predicted_answer_ms: float
    queue_ms: float
    answer_ms: float


class Comparison(NamedTuple):
    """Predicted over measured, of all slices together, with its 95 % interval."""

    ratio: float
    low: float
    high: float


class Check(Part):
    """Waits at one share of the capacity, as certified, and in each slice."""

    load: float
    certified: Waits
    slices: tuple[Slice, ...]

    @property
    def answers(self) -> Comparison | None:
        """Of the time from arrival to answer; None: too few slices."""
        return compare_means(
            [item.predicted_answer_ms for item in self.slices], [item.answer_ms for item in self.slices]
        )

    @property
    def queues(self) -> Comparison | None:
        return compare_means([item.predicted_queue_ms for item in self.slices], [item.queue_ms for item in self.slices])

    @property
    def outcome(self) -> Outcome:
        found = self.answers
        if found is None:
            return "too noisy to tell"
        if found.low >= 1 - ALLOWED and found.high <= 1 + ALLOWED:
            return "reached"
        return "missed" if found.high < 1 - ALLOWED or found.low > 1 + ALLOWED else "too noisy to tell"

    @property
    def slices_needed(self) -> int | None:
        """At how many slices as noisy as these there would be a verdict; None: at no number that anything shows."""
        found = self.answers
        room = 0.0 if found is None else min(abs(found.ratio - (1 - ALLOWED)), abs(found.ratio - (1 + ALLOWED)))
        if found is None or not room:
            return None
        # The interval narrows with the root of their number.
        return max(FEWEST_SLICES, ceil(len(self.slices) * ((found.high - found.ratio) / room) ** 2))


def compare_means(predicted: Sequence[float], measured: Sequence[float]) -> Comparison | None:
    """Divide the sum of what was predicted by that of what was measured; None where these are too few.

    Source: ratio estimator (Cochran, Sampling Techniques).
    """
    num, total = len(measured), sum(measured)
    if num < FEWEST_SLICES or not total:
        return None
    ratio = sum(predicted) / total
    squares = sum((one - ratio * other) ** 2 for one, other in zip(predicted, measured, strict=True))
    half = float(stdtrit(num - 1, 0.975)) * (num / (num - 1) * squares) ** 0.5 / total
    return Comparison(ratio, ratio - half, ratio + half)


def estimate_check_s(plan: Plan) -> float:
    """How long a check takes."""
    num_slices = len(LOADS) * SLICES_PER_ROUND * plan.rounds
    return num_slices * (plan.estimate_level_s(SLICE_SHARE) + plan.estimate_level_s(LOOK_SHARE))


def advise(checks: Sequence[Check]) -> str:
    """Say what would give a verdict where noise left none; '' where there is one everywhere."""
    noisy = [check for check in checks if check.outcome == "too noisy to tell"]
    if not noisy:
        return ""
    where = f"Too noisy to tell at {' and '.join(f'{check.load:g}' for check in noisy)} of the capacity"
    needed = [check.slices_needed for check in noisy]
    rounds = max(ceil(num_slices / SLICES_PER_ROUND) if num_slices else MOST_ROUNDS + 1 for num_slices in needed)
    if rounds > MOST_ROUNDS:
        return f"{where}: more rounds would hardly help; check again when the machine is quiet."
    return f"{where}: at this noise `--rounds {rounds}` would give a verdict, on a quiet machine fewer."


def check_certificate(
    store: Path, subject: Subject, certificate: Certificate, plan: Plan, *, advance: Callable[[str, float], None]
) -> list[Check]:
    """Serve a variant as certified and compare what requests wait with what the certificate predicts.

    Raises:
        CertifyError: requests failed, or the server told nothing of a run.
    """
    with (
        serve_alone(store, subject, list_settings(certificate.setup)) as (_, addresses, _),
        scrape(addresses.metrics) as collect,
    ):
        levels = Levels(subject, addresses.grpc, plan, certificate.setup, advance)
        levels.saturate()  # only warms up
        runs, capacity = [], find_capacity(levels.saturate(LOOK_SHARE))
        for seed, load in enumerate(LOADS * (plan.rounds * SLICES_PER_ROUND), start=1):
            recording = levels.arrive(load * capacity, SLICE_SHARE, seed=seed)
            # Else what is scraped next would mix the slice's last requests with the first ones that saturate.
            time.sleep(2 * INTERVAL_S)
            before, capacity = capacity, find_capacity(levels.saturate(LOOK_SHARE))
            runs.append(_Run(seed, load, load * before, (before, capacity), recording))
        metrics = collect()
    found = [_compare(subject, certificate, run, plan, metrics) for run in runs]
    return [
        Check(
            load=load,
            certified=predict_waits(certificate, subject.manifest.max_rows, load * certificate.saturated_rows_per_s),
            slices=tuple(item for run, item in zip(runs, found, strict=True) if run.load == load),
        )
        for load in LOADS
    ]


def find_capacity(recording: Recording) -> float:
    """Rows a second of the middle of a look: a generator's start and end are no small part of a second."""
    windows = recording.windows
    tenth = len(windows) // 10
    middle = windows[tenth : len(windows) - tenth]
    length_s = recording.duration_s * len(middle) / len(windows)
    return sum(window.requests for window in middle) * recording.rows_per_request / length_s


class _Run(NamedTuple):
    seed: int
    load: float
    rate: float
    capacities: tuple[float, float]
    recording: Recording


def _compare(subject: Subject, certificate: Certificate, run: _Run, plan: Plan, metrics: Metrics) -> Slice:
    manifest = subject.manifest
    split = split_time(run.recording, metrics, model=manifest.model, version=manifest.version)
    if split is None:
        raise CertifyError(f"the server's metrics tell nothing of the runs at {run.load:g} of the capacity")
    before, after = (certificate.saturated_rows_per_s / capacity for capacity in run.capacities)
    predicted = simulate_slices(
        certificate.batch_times,
        manifest.max_rows,
        certificate.setup.workers,
        run.rate,
        paces=(before, after),
        warm_up_s=plan.warm_up_s,
        length_s=SLICE_SHARE * plan.level_s,
        num_slices=NUM_SIMULATED,
        seed=run.seed,
    )
    return Slice(
        rate=run.rate,
        paces=(before, after),
        predicted_queue_ms=predicted.queue_ms,
        predicted_answer_ms=predicted.answer_ms,
        queue_ms=split.queue_ms,
        answer_ms=split.queue_ms + split.compute_ms,
    )
