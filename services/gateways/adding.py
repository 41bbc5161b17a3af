"""What several gateway processes have counted, added up as if one had: metrics, and Triton's statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from services.gateway.metrics import Families

# How gauges come together; what is counted, and what only one process knows, is summed.
GAUGES: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {
    "millrace_build_info": max,
    "millrace_cache_bytes": sum,
    "millrace_waiting_rows": sum,
    "millrace_busy_slots": sum,
    "millrace_slots": max,  # all see the same workers
    "millrace_model_ready": min,
    "millrace_release_refused": max,
    "millrace_routing_refused": max,
    "millrace_tasks": sum,
    "millrace_golden_mismatch": max,
    "millrace_model_slow": max,
    "millrace_streams": sum,
    "millrace_input_stability_index": max,
    "millrace_input_same_p_value": min,
    "millrace_input_watched_rows": sum,
    "process_virtual_memory_bytes": sum,
    "process_resident_memory_bytes": sum,
    "process_start_time_seconds": min,
    "process_open_fds": sum,
    "process_max_fds": min,
}
_CREATED = "_created"
_Key = tuple[str, tuple[tuple[str, str], ...]]


def add_families(snapshots: Iterable[Iterable[Metric]]) -> Iterator[Metric]:
    """Add up the metrics of several processes, each as its registry collects them, family by family."""
    families: dict[str, list[Metric]] = {}
    for snapshot in snapshots:
        for family in snapshot:
            families.setdefault(family.name, []).append(family)
    return map(_add_family, families.values())


def keep_counts(snapshot: Iterable[Metric], versions: Iterable[tuple[str, str]]) -> Families:
    """Keep of a process that has gone what a sum must not lose: its counters, of versions that are still there."""
    known = {*versions, ("", "")}
    return [
        _with_samples(family, [sample for sample in family.samples if _version_of(sample) in known])
        for family in snapshot
        if family.type in ("counter", "histogram")
    ]


def count_requests(snapshot: Iterable[Metric]) -> float:
    """Count the inference requests of callers in one process's metrics."""
    return sum(
        sample.value
        for family in snapshot
        for sample in family.samples
        if sample.name == "millrace_requests_total" and sample.labels["protocol"] != "self"
    )


def _version_of(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("model", ""), sample.labels.get("version", "")


def _with_samples(family: Metric, samples: Iterable[Sample]) -> Metric:
    changed = Metric(family.name, family.documentation, family.type, family.unit)
    changed.samples = list(samples)
    return changed


def _add_family(parts: list[Metric]) -> Metric:
    found: dict[_Key, list[Sample]] = {}
    for part in parts:
        for sample in part.samples:
            found.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample)
    return _with_samples(parts[0], map(_add, found.values()))


def _add(samples: list[Sample]) -> Sample:
    first = samples[0]
    if len(samples) == 1:
        return first
    combine = min if first.name.endswith(_CREATED) else GAUGES.get(first.name, sum)
    exemplars = [sample.exemplar for sample in samples if sample.exemplar is not None]
    newest = max(exemplars, key=lambda exemplar: exemplar.timestamp or 0.0, default=None)
    return first._replace(value=combine(sample.value for sample in samples), exemplar=newest)


def add_statistics(lists: Iterable[Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Add up several processes' lists of Triton's ModelStatistics, by model and version."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for statistics in lists:
        for one in statistics:
            key = (one["name"], one["version"])
            sums[key] = _add_numbers(sums[key], one) if key in sums else dict(one)
    return list(sums.values())


def _add_numbers(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    added: dict[str, Any] = {}
    for name, value in one.items():
        if name == "batch_stats":
            added[name] = _add_batches([*value, *other[name]])
        elif name == "last_inference":
            added[name] = max(value, other[name])
        elif isinstance(value, Mapping):
            added[name] = _add_numbers(value, other[name])
        else:
            added[name] = value if isinstance(value, str) else value + other[name]
    return added


def _add_batches(batches: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    by_size: dict[int, dict[str, Any]] = {}
    for batch in batches:
        size = batch["batch_size"]
        same = by_size.get(size)
        by_size[size] = dict(batch) if same is None else _add_numbers(same, batch) | {"batch_size": size}
    return [by_size[size] for size in sorted(by_size)]
