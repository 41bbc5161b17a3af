"""Whether a certificate predicts what requests wait: the bar that it has to reach to be of use.

Waits are predicted for a slice of the measured one's length, whose pace moves from that of the look before it to that
of the look after it. All slices count; what else the pace did between the looks shows as their spread, which decides
whether there is a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import Literal, NamedTuple

from scipy.special import stdtrit

from loadtests.capacity.certifying import list_settings, serve_alone
from loadtests.capacity.levels import CertifyError, Levels, Plan
from loadtests.capacity.queueing import Waits, predict_waits, simulate_slices
from loadtests.capacity.slices import SLICE_SHARE, Slice, estimate_slice_s, run_slices
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
    slices: tuple[Compared, ...]

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
    manifest = subject.manifest
    split = split_time(part.recording, metrics, model=manifest.model, version=manifest.version)
    if split is None:
        raise CertifyError(f"the server's metrics tell nothing of the runs at {part.load:g} of the capacity")
    before, after = (certificate.saturated_rows_per_s / capacity for capacity in part.capacities)
    predicted = simulate_slices(
        certificate.batch_times,
        manifest.max_rows,
        certificate.setup.workers,
        part.rate,
        paces=(before, after),
        warm_up_s=plan.warm_up_s,
        length_s=SLICE_SHARE * plan.level_s,
        num_slices=NUM_SIMULATED,
        seed=part.seed,
    )
    return Compared(
        rate=part.rate,
        paces=(before, after),
        predicted_queue_ms=predicted.queue_ms,
        predicted_answer_ms=predicted.answer_ms,
        queue_ms=split.queue_ms,
        answer_ms=split.queue_ms + split.compute_ms,
    )
