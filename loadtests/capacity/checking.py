"""Whether a certificate predicts what requests wait: the bar that it has to reach to be of use.

A shared machine is faster in one minute than in the next, and near its capacity waits answer that tenfold. Each level
therefore follows a look at what saturates now: the load is a share of that, and waits are predicted at that pace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

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


class Check(Part):
    """Waits at one share of the capacity: predicted as certified, and measured in each round, in ms.

    `paces` say how many times as long everything took in each round as when it was certified, and waits with it.
    """

    load: float
    rates: tuple[float, ...]
    paces: tuple[float, ...]
    predicted: Waits
    queue_ms: tuple[float, ...]
    answer_ms: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Predicted over measured, of the time from arrival to answer at the gateway; the median of the rounds."""
        return self._compare(self.predicted.answer_ms, self.answer_ms)

    @property
    def queue_ratio(self) -> float:
        return self._compare(self.predicted.queue_ms, self.queue_ms)

    def _compare(self, predicted_ms: float, measured_ms: tuple[float, ...]) -> float:
        return median(pace * predicted_ms / ms for pace, ms in zip(self.paces, measured_ms, strict=True))

    @property
    def reached(self) -> bool:
        return abs(self.ratio - 1) <= ALLOWED


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
        runs = [_run_level(levels, load) for _ in range(plan.rounds) for load in LOADS]
        metrics = collect()
    return [_compare(subject, certificate, load, [run for run in runs if run.load == load], metrics) for load in LOADS]


class _Run(NamedTuple):
    load: float
    rate: float
    capacity: float
    recording: Recording


def _run_level(levels: Levels, load: float) -> _Run:
    capacity = levels.saturate().rows_per_s
    # The nearer to the capacity, the slower a queue forgets: its mean takes longer to be known.
    return _Run(load, load * capacity, capacity, levels.arrive(load * capacity, max(1.0, FORGETS / (1 - load))))


def _compare(subject: Subject, certificate: Certificate, load: float, runs: Sequence[_Run], metrics: Metrics) -> Check:
    manifest = subject.manifest
    splits = [split_time(run.recording, metrics, model=manifest.model, version=manifest.version) for run in runs]
    found = [(run, split) for run, split in zip(runs, splits, strict=True) if split is not None]
    if not found:
        raise CertifyError(f"the server's metrics tell nothing of the runs at {load:g} of the capacity")
    certified = certificate.saturated_rows_per_s
    return Check(
        load=load,
        rates=tuple(run.rate for run, _ in found),
        paces=tuple(certified / run.capacity for run, _ in found),
        predicted=predict_waits(certificate, manifest.max_rows, load * certified),
        queue_ms=tuple(split.queue_ms for _, split in found),
        answer_ms=tuple(split.queue_ms + split.compute_ms for _, split in found),
    )
