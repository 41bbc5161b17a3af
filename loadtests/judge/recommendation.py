"""Which variant to deploy: of those the gate passed, the one that holds the highest rate within the bound."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from loadtests.judge.significance import find_minimum_requests
from loadtests.judge.verdict import bound_percentile
from loadtests.measure.neighbours import average_neighbours
from loadtests.results import Recommendation, Run, Standing
from loadtests.subject import order_manifests
from model_store.manifest import Manifest, ReleaseIndex

NOTICED_CORES = 0.2


def find_held(runs: Sequence[Run], version: str) -> Run | None:
    """Find the valid open-loop run with the highest rate that held the bound."""
    held = [run for run in runs if run.version == version and run.holds_bound and run.verdict.valid]
    return max(held, key=lambda run: run.rate or 0.0, default=None)


def find_peak_rows_per_s(runs: Sequence[Run], version: str) -> float:
    """Find the highest throughput of any run without errors, median over rounds where there are several.

    Mostly it is Offline's, whose requests are full; callers of single rows cost a machine that they share more.
    """
    found: defaultdict[tuple[object, ...], list[float]] = defaultdict(list)
    for run in runs:
        if run.version == version and not run.recording.errors:
            found[run.kind, run.protocol, run.callers, run.rate].append(run.recording.rows_per_s)
    return max((sorted(rates)[len(rates) // 2] for rates in found.values()), default=0.0)


def recommend(
    index: ReleaseIndex, manifests: Sequence[Manifest], runs: Sequence[Run], bound_ms: float
) -> Recommendation:
    """Recommend one of the variants that passed the gate and were tested, if a valid run shows it to hold the bound."""
    tested = {run.version for run in runs}
    served = [one for one in manifests if one.variant in index.archives and one.version in tested]
    untested = [one.variant for one in manifests if one.variant in index.archives and one.version not in tested]
    best = max(served, key=lambda manifest: _rank(runs, manifest.version))
    held = find_held(runs, best.version)
    standing = _find_standing(served, runs)
    headlines: dict[Standing, str] = {
        "shown": f"Deploy {best.model} {best.version}",
        "too slow": f"No variant of {best.model} holds {bound_ms:g} ms on this machine",
        "too short or too noisy": f"Too short or too noisy to say which variant of {best.model} to deploy",
    }
    reasons = [_explain_speed(best, held, runs, bound_ms), *_explain_gain(best, served, runs), _explain_quality(best)]
    return Recommendation(
        version=best.version,
        standing=standing,
        headline=headlines[standing],
        reasons=tuple(reasons),
        caveats=(*_find_caveats(index, best, held, runs), *_name_untested(untested)),
    )


def count_reasons(runs: Sequence[Run]) -> Counter[str]:
    """Count the runs that are INVALID, by the first reason of each."""
    return Counter(run.verdict.reasons[0].kind for run in runs if not run.verdict.valid)


def _rank(runs: Sequence[Run], version: str) -> tuple[float, float]:
    held = find_held(runs, version)
    return (held.rate or 0.0 if held else 0.0, find_peak_rows_per_s(runs, version))


def _find_standing(served: Sequence[Manifest], runs: Sequence[Run]) -> Standing:
    if any(find_held(runs, manifest.version) for manifest in served):
        return "shown"
    shown_slow = {run.version for run in runs if run.load and run.verdict.valid and not run.holds_bound}
    return "too slow" if all(m.version in shown_slow for m in served) else "too short or too noisy"


def _explain_speed(best: Manifest, held: Run | None, runs: Sequence[Run], bound_ms: float) -> str:
    peak = find_peak_rows_per_s(runs, best.version)
    if held is None:
        return (
            f"No valid run shows a variant to hold {bound_ms:g} ms at random arrivals; {best.variant} has the highest "
            f"throughput, {peak:,.0f} rows/s."
        )
    percentile = bound_percentile(held.recording)
    latency_ms = held.recording.find_percentile_ms(percentile)
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


def _name_untested(variants: Sequence[str]) -> list[str]:
    if not variants:
        return []
    verb = "were" if len(variants) > 1 else "was"
    return [f"{', '.join(variants)} {verb} not load-tested; `--variants all` measures every variant."]


def _find_caveats(index: ReleaseIndex, best: Manifest, held: Run | None, runs: Sequence[Run]) -> list[str]:
    caveats = []
    if held is not None and bound_percentile(held.recording) < 99:
        caveats.append(
            f"{held.recording.requests} requests support only p90; p99 takes {find_minimum_requests(99, 1)}: "
            "measure longer."
        )
    if held is not None and best.variant != index.default:
        caveats.append(f"The release's default is {index.default}; callers reach this one as version {best.version}.")
    invalid = count_reasons(runs)
    if invalid:
        kinds = ", ".join(f"{kind} {count}" for kind, count in invalid.most_common())
        order = "; the order of the variants is provisional" if invalid.total() > len(runs) / 2 else ""
        caveats.append(f"{invalid.total()} of {len(runs)} runs are INVALID ({kinds}): no evidence{order}.")
    around = average_neighbours([run.neighbours for run in runs if run.neighbours])
    if around.cores + around.stolen_cores > NOTICED_CORES:
        caveats.append(f"During the test {around.text}: a quiet machine gives other figures.")
    num_stalls = sum(len(run.recording.stalls) for run in runs if run.version == best.version)
    if num_stalls:
        longest_s = max(stall.length_s for run in runs if run.version == best.version for stall in run.recording.stalls)
        caveats.append(f"{best.variant} stalled {num_stalls}×, answering nothing for up to {longest_s:.1f} s.")
    cpu_cores = max((run.recording.cost.cpu_cores for run in runs if run.version == best.version), default=0.0)
    if cpu_cores > 0.1:
        caveats.append(
            f"The load generator ran on the same machine and took up to {cpu_cores:.1f} cores of it: "
            "a server by itself holds more."
        )
    return caveats
