"""Whether a certificate predicts what requests wait: the bar that it has to reach to be of use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

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


class Check(Part):
    """Waits at one share of the certified capacity: predicted, and measured in each round, in ms."""

    load: float
    rate: float
    predicted: Waits
    queue_ms: tuple[float, ...]
    answer_ms: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Predicted over measured, of the time from arrival to answer at the gateway; medians over the rounds."""
        return self.predicted.answer_ms / median(self.answer_ms)

    @property
    def queue_ratio(self) -> float:
        return self.predicted.queue_ms / median(self.queue_ms)

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
        levels.saturate()
        rates = {load: load * certificate.saturated_rows_per_s for load in LOADS}
        runs = [(load, levels.arrive(rates[load])) for _ in range(plan.rounds) for load in LOADS]
        metrics = collect()
    return list(_compare(subject, certificate, rates, runs, metrics))


def _compare(
    subject: Subject,
    certificate: Certificate,
    rates: dict[float, float],
    runs: list[tuple[float, Recording]],
    metrics: Metrics,
) -> Iterator[Check]:
    manifest = subject.manifest
    for load, rate in rates.items():
        splits = [
            split_time(run, metrics, model=manifest.model, version=manifest.version) for own, run in runs if own == load
        ]
        found = [split for split in splits if split is not None]
        if not found:
            raise CertifyError(f"the server's metrics tell nothing of the runs at {rate:.0f}/s")
        yield Check(
            load=load,
            rate=rate,
            predicted=predict_waits(certificate, manifest.max_rows, rate),
            queue_ms=tuple(split.queue_ms for split in found),
            answer_ms=tuple(split.queue_ms + split.compute_ms for split in found),
        )
