"""Served throughput: LoadGen's Offline scenario with full batches."""

from __future__ import annotations

from loadtests.addresses import Addresses
from loadtests.generate.plan import NO_BOUND_MS, OpenLoop, aim
from loadtests.generate.processes import run_open_loop
from loadtests.subject import Subject


class ThroughputError(RuntimeError):
    """Requests failed while throughput was measured."""


def measure_rows_per_s(subject: Subject, grpc_url: str, measure_s: float) -> float:
    """Send full batches as fast as they are answered and count rows.

    Raises:
        ThroughputError: a request failed.
    """
    rows = subject.manifest.max_rows
    recording = run_open_loop(
        OpenLoop(
            traffic=aim(subject, Addresses(grpc=grpc_url), rows_per_request=rows),
            scenario="Offline",
            measure_s=measure_s,
            bound_ms=NO_BOUND_MS,
        )
    )
    if recording.errors:
        raise ThroughputError(f"{subject.name}: {recording.errors}")
    return recording.rows_per_s
