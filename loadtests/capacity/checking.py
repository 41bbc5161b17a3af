"""Whether a certificate predicts what requests wait: the bar that it has to reach to be of use.

A shared machine is faster in one second than in the next, and near its capacity waits answer that tenfold. So two
things are compared that together are the prediction. How long batches took in a slice, against what the looks around it
lead one to expect: a certificate fails it that is wrong of small batches, or of what the front door costs them. And how
long requests waited, against a simulation of the same seconds, with as many arrivals in each of its forty parts, and
batches that take so many times as long as certified as they did in each half second: one fails it that is wrong of how
requests gather into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtrit

from loadtests.capacity.batch_times import find_pace, trace_pace
from loadtests.capacity.certifying import list_settings, serve_alone
from loadtests.capacity.levels import CertifyError, Levels, Plan
from loadtests.capacity.queueing import Waits, predict_waits, simulate_slices
from loadtests.capacity.slices import SLICE_SHARE, Slice, estimate_slice_s, run_slices
from loadtests.generate.arrivals import draw_arrivals, draw_arrivals_like
from loadtests.measure.metrics import Metrics
from loadtests.measure.recording import Part
from loadtests.measure.scraper import scrape
from loadtests.measure.time_split import split_time
from loadtests.subject import Subject
from model_store.certificate import Certificate

LOADS = (0.5, 0.8, 0.95)
ALLOWED = 0.2
SLICES_PER_ROUND = 3
# A prediction is the mean of so many slices.
NUM_SIMULATED = 16
FEWEST_SLICES = 3
MOST_ROUNDS = 24  # three take some four minutes

Outcome = Literal["reached", "missed", "too noisy to tell"]


class Compared(Part):
    """Some seconds at a share of the capacity: what was offered, predicted and measured, in ms at the gateway.

    `pace` says how many times as long its batches took as certified, `look_pace` how many times as long everything took
    before and after it.
    """

    rate: float
    pace: float
    look_pace: float
    predicted_queue_ms: float
    predicted_answer_ms: float
    queue_ms: float
    answer_ms: float


class Comparison(NamedTuple):
    """Predicted over measured, of all slices together, with its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def outcome(self) -> Outcome:
        if self.low >= 1 - ALLOWED and self.high <= 1 + ALLOWED:
            return "reached"
        return "missed" if self.high < 1 - ALLOWED or self.low > 1 + ALLOWED else "too noisy to tell"


class Check(Part):
    """Waits at one share of the capacity, as certified, and in each slice."""

    load: float
    certified: Waits
    slices: tuple[Compared, ...]

    @property
    def batches(self) -> Comparison | None:
        """Of how long batches took; None: too few slices."""
        return compare_means([item.look_pace for item in self.slices], [item.pace for item in self.slices])

    @property
    def answers(self) -> Comparison | None:
        """Of the time from arrival to answer."""
        return compare_means(
            [item.predicted_answer_ms for item in self.slices], [item.answer_ms for item in self.slices]
        )

    @property
    def queues(self) -> Comparison | None:
        return compare_means([item.predicted_queue_ms for item in self.slices], [item.queue_ms for item in self.slices])

    @property
    def outcome(self) -> Outcome:
        outcomes = [found.outcome if found else "too noisy to tell" for found in (self.batches, self.answers)]
        return next((worst for worst in ("missed", "too noisy to tell") if worst in outcomes), "reached")

    @property
    def slices_needed(self) -> int | None:
        """At how many slices as noisy as these there would be a verdict; None: at no number that anything shows."""
        needed = [_count_needed(found, len(self.slices)) for found in (self.batches, self.answers)]
        return None if None in needed else max(filter(None, needed))


def _count_needed(found: Comparison | None, num_slices: int) -> int | None:
    room = 0.0 if found is None else min(abs(found.ratio - (1 - ALLOWED)), abs(found.ratio - (1 + ALLOWED)))
    if found is None or not room:
        return None
    # The interval narrows with the root of their number.
    return max(FEWEST_SLICES, ceil(num_slices * ((found.high - found.ratio) / room) ** 2))


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
    return len(LOADS) * SLICES_PER_ROUND * plan.rounds * estimate_slice_s(plan)


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
        levels = Levels(subject, addresses.grpc, plan, certificate.setup.workers, advance)
        levels.saturate()  # only warms up
        slices = run_slices(levels, LOADS * (plan.rounds * SLICES_PER_ROUND))
        metrics = collect()
    found = [_compare(subject, certificate, part, plan, metrics) for part in slices]
    return [
        Check(
            load=load,
            certified=predict_waits(certificate, subject.manifest.max_rows, load * certificate.saturated_rows_per_s),
            slices=tuple(item for part, item in zip(slices, found, strict=True) if part.load == load),
        )
        for load in LOADS
    ]


def _compare(subject: Subject, certificate: Certificate, part: Slice, plan: Plan, metrics: Metrics) -> Compared:
    manifest, start_s = subject.manifest, part.recording.started
    labels = {"model": manifest.model, "version": manifest.version}
    certified, length_s = certificate.batch_times, SLICE_SHARE * plan.level_s
    split = split_time(part.recording, metrics, **labels)
    pace = find_pace(metrics, certified, start_s, start_s + part.recording.duration_s, **labels)
    paces = trace_pace(metrics, certified, start_s - plan.warm_up_s, start_s + length_s, **labels)
    if split is None or pace is None or paces is None:
        raise CertifyError(f"the server's metrics tell nothing of the runs at {part.load:g} of the capacity")

    def draw_like_measured(random: np.random.Generator) -> Iterable[float]:
        yield from takewhile(lambda at_s: at_s < plan.warm_up_s, draw_arrivals(part.rate, random))
        counts = [window.scheduled for window in part.recording.windows]
        yield from draw_arrivals_like(counts, length_s, random, since_s=plan.warm_up_s)

    predicted = simulate_slices(
        certified,
        manifest.max_rows,
        certificate.setup.workers,
        draw_like_measured,
        find_pace=paces,
        warm_up_s=plan.warm_up_s,
        num_slices=NUM_SIMULATED,
        seed=part.seed,
    )
    return Compared(
        rate=part.rate,
        pace=pace,
        look_pace=mean(certificate.saturated_rows_per_s / capacity for capacity in part.capacities),
        predicted_queue_ms=predicted.queue_ms,
        predicted_answer_ms=predicted.answer_ms,
        queue_ms=split.queue_ms,
        answer_ms=split.queue_ms + split.compute_ms,
    )
