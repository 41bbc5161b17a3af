"""Where the microseconds of a call go: waiting and work of the door, of TorchServe's Java and of the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from loadtests.bench.front_door import CALLERS, release_tiny, start_ours
from loadtests.bench.h2load import run_h2load
from loadtests.measure.scraper import read_samples
from model_store.open_inference import INFER_PATH

DOOR, JAVA, WORKERS = "gateway", "TorchServe's Java", "workers"
# In the command of a gateway process besides the first.
_FOLLOWER = "services.gateways.follower"


@dataclass(frozen=True, slots=True)
class HotPath:
    """Microseconds a call: how long its caller waits, of that in the core, in the queue, in a batch; processor time."""

    calls_per_s: float
    rows_per_batch: float
    waited_us: float
    core_us: float
    queue_us: float
    batch_us: float
    busy_us: Mapping[str, float]


def measure_hot_path(*, gateways: int, repeats: int, measure_s: float, console: Console) -> None:
    """Serve the tiny program and print where calls of one caller and of many spend their time."""
    settings = {"gateways": gateways}
    with release_tiny(console) as (folder, body), start_ours(folder, settings=settings) as server:
        to = server.wait_ready()

        def measure(callers: int) -> HotPath:
            before = _read_totals(to.metrics, server.list_processes())
            result = run_h2load(to.grpc, INFER_PATH, body, callers=callers, duration_s=measure_s)
            after = _read_totals(to.metrics, server.list_processes())
            return _compare(before, after, waited_us=1e3 * result.mean_ms, calls_per_s=result.requests_per_s)

        found = {callers: [measure(callers) for _ in range(repeats + 1)][1:] for callers in (1, CALLERS)}
    console.print(make_table(found))


def _read_totals(metrics_url: str, processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Read what has been counted since the start, and processor time in seconds.

    The first process is a gateway; what is neither one nor Java is a worker, or a parent of workers.
    """
    totals = read_samples(metrics_url)
    for index, process in enumerate(processes):
        times = process.cpu_times()
        is_door = index == 0 or _FOLLOWER in process.cmdline()
        totals[DOOR if is_door else JAVA if process.name() == "java" else WORKERS] += times.user + times.system
    return totals


def _compare(
    before: Mapping[str, float], after: Mapping[str, float], *, waited_us: float, calls_per_s: float
) -> HotPath:
    def mean(histogram: str) -> float:
        total, count = (after[f"{histogram}_{end}"] - before[f"{histogram}_{end}"] for end in ("sum", "count"))
        return total / count

    num_calls = after["millrace_request_seconds_count"] - before["millrace_request_seconds_count"]
    return HotPath(
        calls_per_s=calls_per_s,
        rows_per_batch=mean("millrace_batch_rows"),
        waited_us=waited_us,
        core_us=1e6 * mean("millrace_request_seconds"),
        queue_us=1e6 * mean("millrace_queue_seconds"),
        batch_us=1e6 * mean("millrace_backend_seconds"),
        busy_us={part: 1e6 * (after[part] - before[part]) / num_calls for part in (DOOR, JAVA, WORKERS)},
    )


def make_table(found: Mapping[int, Sequence[HotPath]]) -> Table:
    """Make the table: medians, one column for each number of callers."""
    rows: dict[str, Callable[[HotPath], float]] = {
        "calls/s": lambda path: path.calls_per_s,
        "rows in a batch": lambda path: path.rows_per_batch,
        "a caller waits, µs": lambda path: path.waited_us,
        "  for sockets, HTTP/2 and messages": lambda path: path.waited_us - path.core_us,
        "  for validation and the event loop": lambda path: path.core_us - path.queue_us - path.batch_us,
        "  in the queue": lambda path: path.queue_us,
        "  for the worker": lambda path: path.batch_us,
        "processor time a call, µs": lambda path: sum(path.busy_us.values()),
        **{f"  {part}": lambda path, part=part: path.busy_us[part] for part in (DOOR, JAVA, WORKERS)},  # type: ignore[misc]
    }
    table = Table("", *[f"{callers} caller{'s' * (callers > 1)}" for callers in found])
    for name, read in rows.items():
        table.add_row(name, *[f"{median(map(read, paths)):,.1f}" for paths in found.values()])
    return table
