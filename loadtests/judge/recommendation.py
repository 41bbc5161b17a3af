"""Which variant to deploy: of those the gate passed, the one that holds the highest rate within the bound."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.judge.significance import find_minimum_requests
from loadtests.judge.verdict import bound_percentile
from loadtests.results import Recommendation, Run
from loadtests.subject import order_manifests
from model_store.manifest import Manifest, ReleaseIndex


def find_held(runs: Sequence[Run], version: str) -> Run | None:
    """Find the open-loop run with the highest rate that held the bound."""
    held = [run for run in runs if run.version == version and run.kind == "Server" and run.holds_bound]
    return max(held, key=lambda run: run.rate or 0.0, default=None)


def find_peak_rows_per_s(runs: Sequence[Run], version: str) -> float:
    """Find the highest throughput of a closed-loop level without errors, median over rounds where there are several."""
    levels: dict[int, list[float]] = {}
    for run in runs:
        if (run.version, run.kind, run.protocol) == (version, "closed loop", "grpc") and not run.recording.errors:
            levels.setdefault(run.callers or 0, []).append(run.recording.rows_per_s)
    return max((sorted(rates)[len(rates) // 2] for rates in levels.values()), default=0.0)


def recommend(
    index: ReleaseIndex, manifests: Sequence[Manifest], runs: Sequence[Run], bound_ms: float
) -> Recommendation:
    """Recommend one of the variants that passed the gate."""
    served = [manifest for manifest in manifests if manifest.variant in index.archives]
    ranked = sorted(served, key=lambda manifest: _rank(runs, manifest.version), reverse=True)
    best = ranked[0]
    held = find_held(runs, best.version)
    reasons = [_explain_speed(best, held, runs, bound_ms), *_explain_gain(best, served, runs), _explain_quality(best)]
    return Recommendation(
        version=best.version,
        headline=f"Deploy {best.model} {best.version}"
        + ("" if held else f": no variant held {bound_ms:g} ms, it came closest"),
        reasons=tuple(reasons),
        caveats=tuple(_find_caveats(index, best, held, runs, bound_ms)),
    )


def _rank(runs: Sequence[Run], version: str) -> tuple[float, float]:
    held = find_held(runs, version)
    return (held.rate or 0.0 if held else 0.0, find_peak_rows_per_s(runs, version))


def _explain_speed(best: Manifest, held: Run | None, runs: Sequence[Run], bound_ms: float) -> str:
    peak = find_peak_rows_per_s(runs, best.version)
    if held is None:
        return f"No variant was shown to hold {bound_ms:g} ms; this one has the highest throughput, {peak:,.0f} rows/s."
    percentile = bound_percentile(held.recording)
    latency_ms = held.recording.latencies().find_percentile_ms(percentile)
    return (
        f"It held {held.rate:,.0f} requests/s, arriving at random, with p{percentile:g} at {latency_ms:.1f} ms "
        f"(bound {bound_ms:g} ms, confidence 0.99). Its highest throughput was {peak:,.0f} rows/s."
    )


def _explain_gain(best: Manifest, served: Sequence[Manifest], runs: Sequence[Run]) -> list[str]:
    reference = order_manifests(served)[0]
    slow, fast = (find_peak_rows_per_s(runs, manifest.version) for manifest in (reference, best))
    if reference is best or not slow:
        return []
    return [f"That is {fast / slow:.1f}× the {reference.variant} variant, measured in the same session."]


def _explain_quality(best: Manifest) -> str:
    quality = best.quality
    low, high = quality.interval
    text = f"Its {quality.metric} is {quality.value:.4g} (95 % interval {low:.4g} to {high:.4g}, n = {quality.n:,})"
    if quality.paired is None:
        return f"{text}; it is the reference that other variants are compared with."
    low, high = quality.paired.interval
    return (
        f"{text}; against {quality.paired.reference} on the same rows {quality.paired.difference:+.4g} "
        f"({low:+.4g} to {high:+.4g}). The gate {'passed' if best.gate.passed else 'refused'} it: {best.gate.why}."
    )


def _find_caveats(
    index: ReleaseIndex, best: Manifest, held: Run | None, runs: Sequence[Run], bound_ms: float
) -> list[str]:
    caveats = []
    if held is not None and not held.verdict.valid:
        caveats.append(
            f"The run that shows this is INVALID ({'; '.join(held.verdict.reasons)}): repeat it, or measure longer."
        )
    if held is not None and bound_percentile(held.recording) < 99:
        caveats.append(
            f"{held.recording.requests} requests support only p90; p99 takes {find_minimum_requests(99, 1)}: "
            "measure longer."
        )
    if best.variant != index.default:
        caveats.append(f"The release's default is {index.default}; callers reach this one as version {best.version}.")
    num_valid = sum(run.verdict.valid for run in runs)
    if num_valid < len(runs) / 2:
        caveats.append(f"Only {num_valid} of {len(runs)} runs are VALID: the order of the variants is provisional.")
    cpu_cores = max((run.recording.cost.cpu_cores for run in runs if run.version == best.version), default=0.0)
    if cpu_cores > 0.1:
        caveats.append(
            f"The load generator ran on the same machine and took up to {cpu_cores:.1f} cores of it: "
            "a server by itself holds more."
        )
    return caveats
