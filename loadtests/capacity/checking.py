"""Whether a certificate predicts what requests wait: the bar that it has to reach to be of use.

A shared machine is faster in one minute than in the next, and near its capacity waits answer that tenfold. Each level
therefore lies between two looks at what saturates now: the load is a share of the first, and waits are predicted at the
pace of both. Where these predictions differ by more than a prediction may be off, the round tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from loadtests.capacity.certifying import CertifyError, Levels, Plan, list_settings, serve_alone
from loadtests.capacity.queueing import Waits, predict_waits
from loadtests.measure.metrics import Metrics
from loadtests.measure.recording import Part, Recording
from loadtests.measure.scraper import scrape
from loadtests.measure.time_split import split_time
from loadtests.subject import Subject
from model_store.certificate import Certificate

LOADS = (0.5, 0.8, 0.95)
ALLOWED = 0.2
# A level at 0.95 lasts four times as long as one at 0.8 or less.
FORGETS = 0.2


Outcome = Literal["reached", "missed", "too noisy to tell"]


class Round(Part):
    """One level at a share of the capacity: what it was offered, and its waits at the gateway, in ms.

    `paces` say how many times as long everything took before and after it as when it was certified; `predicted` are the
    waits at these paces, none where the offered rate was more than the server then held.
    """

    rate: float
    paces: tuple[float, float]
    predicted: tuple[Waits | None, Waits | None]
    queue_ms: float
    answer_ms: float

    @property
    def predicted_ms(self) -> tuple[float, float] | None:
        """Waits from queue to answer and in the queue, between both paces; none: the pace moved too much to say."""
        first, second = self.predicted
        if first is None or second is None:
            return None
        answers_ms = (first.answer_ms, second.answer_ms)
        if max(answers_ms) > (1 + ALLOWED) * min(answers_ms):
            return None
        return sum(answers_ms) / 2, (first.queue_ms + second.queue_ms) / 2


class Check(Part):
    """Waits at one share of the capacity, as certified, and in each round."""

    load: float
    certified: Waits
    rounds: tuple[Round, ...]

    @property
    def ratio(self) -> float | None:
        """Predicted over measured, of the time from arrival to answer; the median of the rounds that tell something."""
        return self._compare(0, [item.answer_ms for item in self.rounds])

    @property
    def queue_ratio(self) -> float | None:
        return self._compare(1, [item.queue_ms for item in self.rounds])

    def _compare(self, which: int, measured_ms: Sequence[float]) -> float | None:
        told = [
            predicted[which] / ms
            for predicted, ms in zip((item.predicted_ms for item in self.rounds), measured_ms, strict=True)
            if predicted is not None
        ]
        return median(told) if len(told) > len(self.rounds) / 2 else None

    @property
    def outcome(self) -> Outcome:
        if self.ratio is None:
            return "too noisy to tell"
        return "reached" if abs(self.ratio - 1) <= ALLOWED else "missed"


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
        runs, capacity = [], levels.saturate().rows_per_s
        for load in LOADS * plan.rounds:
            # The nearer to the capacity, the slower a queue forgets: its mean takes longer to be known.
            recording = levels.arrive(load * capacity, max(1.0, FORGETS / (1 - load)))
            before, capacity = capacity, levels.saturate().rows_per_s
            runs.append(_Run(load, load * before, (before, capacity), recording))
        metrics = collect()
    return [_compare(subject, certificate, load, [run for run in runs if run.load == load], metrics) for load in LOADS]


class _Run(NamedTuple):
    load: float
    rate: float
    capacities: tuple[float, float]
    recording: Recording


def _compare(subject: Subject, certificate: Certificate, load: float, runs: Sequence[_Run], metrics: Metrics) -> Check:
    manifest = subject.manifest
    splits = [split_time(run.recording, metrics, model=manifest.model, version=manifest.version) for run in runs]
    found = [(run, split) for run, split in zip(runs, splits, strict=True) if split is not None]
    if not found:
        raise CertifyError(f"the server's metrics tell nothing of the runs at {load:g} of the capacity")
    rounds = []
    for run, split in found:
        first, second = run.capacities
        rounds.append(
            Round(
                rate=run.rate,
                paces=(certificate.saturated_rows_per_s / first, certificate.saturated_rows_per_s / second),
                predicted=(
                    predict_at(certificate, manifest.max_rows, run.rate, first),
                    predict_at(certificate, manifest.max_rows, run.rate, second),
                ),
                queue_ms=split.queue_ms,
                answer_ms=split.queue_ms + split.compute_ms,
            )
        )
    certified = predict_waits(certificate, manifest.max_rows, load * certificate.saturated_rows_per_s)
    return Check(load=load, certified=certified, rounds=tuple(rounds))


def predict_at(certificate: Certificate, max_rows: int, rate: float, capacity: float) -> Waits | None:
    """Predict waits at a rate on a machine that now holds `capacity`; None where that is not enough."""
    if rate >= capacity:
        return None
    certified = certificate.saturated_rows_per_s
    pace = certified / capacity
    waits = predict_waits(certificate, max_rows, rate * pace)
    times = {name: pace * value for name, value in waits.model_dump().items() if name.endswith("_ms")}
    return waits.model_copy(update=times)
