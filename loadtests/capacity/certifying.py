"""Measure what a certificate says, through the front door of a server that serves nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from host.cpu import choose_threads, count_cores, cpu_model
from loadtests.addresses import Addresses
from loadtests.bound import choose_bound_ms
from loadtests.capacity.batch_times import read_batch_times
from loadtests.capacity.levels import CertifyError, Levels, Plan
from loadtests.capacity.slices import estimate_slice_s, run_slices
from loadtests.generate.plan import Probing, aim
from loadtests.generate.processes import run_rate_search
from loadtests.measure.metrics import WORKER_BYTES, Metrics
from loadtests.measure.scraper import scrape
from loadtests.options import name_command
from loadtests.server import Server, run_server
from loadtests.subject import Subject
from model_store.certificate import Certificate, Setup, describe_host_class, interpolate
from model_store.release import Release, file_digest, manifest_name

# Random arrivals at these shares of what saturates show batches of every size, beside the work that requests make.
SHARES = (0.2, 0.6, 0.9)
SLICES_PER_ROUND = 2
RESOLUTION = 1.05
FIRST_PROBE = 0.6


def estimate_certify_s(plan: Plan) -> float:
    """How long it takes."""
    slices = len(SHARES) * SLICES_PER_ROUND * estimate_slice_s(plan)
    return plan.rounds * (plan.estimate_level_s() + slices) + plan.search_s


def choose_setup(workers: int | None, threads: int | None) -> Setup:
    """Complete a setup as `serve` does: one worker, with its threads."""
    workers = workers or 1
    return Setup(workers=workers, threads=threads or choose_threads(workers, count_cores()), slots_per_worker=1)


def list_settings(setup: Setup) -> dict[str, object]:
    """List the settings of `serve` for a setup with batches as released, whatever was tuned."""
    return {**setup.model_dump(), "max_batch_rows": 0, "batches_per_worker": 2}


@contextmanager
def serve_alone(
    store: Path, subject: Subject, settings: Mapping[str, object]
) -> Iterator[tuple[Server, Addresses, float]]:
    """Serve one variant and nothing else; gives the server, its addresses and the seconds until it was ready."""
    manifest = subject.manifest
    with TemporaryDirectory(prefix="alone-") as folder:
        start_s = time.monotonic()
        names = [f"{manifest.model}:{manifest.release}"]
        with run_server(store, names, Path(folder), variants=(manifest.variant,), settings=settings) as server:
            addresses = server.wait_ready()
            yield server, addresses, time.monotonic() - start_s


def certify(
    store: Path,
    release: Release,
    subject: Subject,
    setup: Setup,
    plan: Plan,
    *,
    bound_ms: float | None,
    advance: Callable[[str, float], None],
) -> Certificate:
    """Measure a certificate; nothing is written.

    Raises:
        CertifyError: requests failed, or batches of too few sizes were seen.
        ServerError, GeneratorError: the server or a generator broke.
    """
    manifest = subject.manifest
    with (
        serve_alone(store, subject, list_settings(setup)) as (server, addresses, startup_s),
        scrape(addresses.metrics) as collect,
    ):
        levels = Levels(subject, addresses.grpc, plan, setup.workers, advance)
        levels.saturate()  # only warms up
        single = [levels.call_singly() for _ in range(plan.rounds)]
        slices = run_slices(levels, SHARES * (SLICES_PER_ROUND * plan.rounds))
        bound_ms = bound_ms or choose_bound_ms(
            median(recording.latencies().find_percentile_ms(50) for recording in single)
        )
        capacity = median(part.capacities[1] for part in slices)
        held = _search_rate(subject, addresses, plan, bound_ms, FIRST_PROBE * capacity)
        advance("rate within the bound", plan.search_s)
        node_bytes = sum(_read_share_bytes(process) for process in server.list_processes())
        metrics = collect()
    recordings = [*single, *(recording for part in slices for recording in (part.recording, part.look))]
    times = read_batch_times(metrics, recordings, manifest.model, manifest.version)
    full_s = interpolate([(item.rows, item.seconds) for item in times], manifest.max_rows)
    return Certificate(
        model=manifest.model,
        release=manifest.release,
        variant=manifest.variant,
        manifest=file_digest(release.folder / manifest_name(manifest.model, manifest.release, manifest.variant)),
        host=describe_host_class(manifest.target.device),
        cpu=cpu_model(),
        setup=setup,
        bound_ms=bound_ms,
        rows_per_s=held,
        # From all full batches, not the saturated runs alone: rate and batch times must speak of the same hour.
        saturated_rows_per_s=setup.workers * manifest.max_rows / full_s,
        batch_times=times,
        worker_bytes=_read_version_bytes(metrics) // setup.workers,
        node_bytes=node_bytes,
        startup_s=startup_s,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=name_command(),
    )


def _search_rate(
    subject: Subject, addresses: Addresses, plan: Plan, bound_ms: float, first_rate: float
) -> float | None:
    """Search the highest rate of random arrivals that holds the bound; None: none was shown to."""
    return run_rate_search(
        Probing(
            traffic=aim(subject, addresses),
            bound_ms=bound_ms,
            first_rate=first_rate,
            warm_up_s=plan.warm_up_s,
            least_s=2.0,
            most_s=10.0,
            budget_s=plan.search_s,
            resolution=RESOLUTION,
        )
    ).held


def _read_version_bytes(metrics: Metrics) -> int:
    found = [series.values[-1] for series in metrics.series if series.name == WORKER_BYTES]
    if not found:
        raise CertifyError(f"the server has no metric {WORKER_BYTES}")
    return round(max(found))


def _read_share_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:  # it ended since it was listed
        return 0
