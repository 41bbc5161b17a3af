"""A served int8 variant against served eager: rows a second, one caller's latency, accuracy and gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from host.cpu import name_features
from loadtests.addresses import Addresses
from loadtests.bench.ratio import measure_ratio, print_bar
from loadtests.bench.test_set import measure_accuracy, read_test_set
from loadtests.bench.throughput import ThroughputError, measure_rows_per_s
from loadtests.generate.plan import ClosedLoop, aim
from loadtests.generate.processes import run_closed_loop
from loadtests.subject import Subject, find_variant
from model_store.release import Release
from services.client import Client

BAR_RATIO, BAR_RATIO_WITHOUT_VNNI = 4.5, 3.0
BAR_LATENCY = 0.35
BAR_POINTS = 0.3
TIMEOUT_S = 120.0
_WARM_UP_S = 1.0


def compare_int8(
    release: Release,
    grpc_url: str,
    *,
    variant: str,
    test_data: Path | None,
    repeats: int,
    measure_s: float,
    console: Console,
) -> bool:
    """Compare a served int8 variant of a release with `eager`; return whether every bar is reached.

    Raises:
        LookupError: the release does not serve one of them; says why.
    """
    int8, eager = (find_variant(release, name) for name in (variant, "eager"))

    def compare(measure: Callable[[Subject], float], unit: str) -> float:
        ratio = measure_ratio(
            variant, lambda: measure(int8), "eager", lambda: measure(eager), unit=unit, repeats=repeats, console=console
        )
        console.print(str(ratio))
        return ratio.value

    rows = compare(lambda subject: measure_rows_per_s(subject, grpc_url, measure_s), "rows/s")
    latency = compare(lambda subject: measure_single_ms(subject, grpc_url, measure_s), "ms")
    reached = [
        print_bar(console, f"{variant} ÷ eager, served", rows, find_bar(name_features()), unit="×"),
        print_bar(console, "p50 of one caller", latency, BAR_LATENCY, at_least=False, unit="×"),
    ]
    if test_data:
        test_set = read_test_set(test_data)
        with Client(grpc_url, timeout_s=TIMEOUT_S) as client:
            accuracies = [100 * measure_accuracy(test_set, client, subject.manifest) for subject in (int8, eager)]
        console.print(
            f"accuracy of {len(test_set.labels):,} served rows: {variant} {accuracies[0]:.2f} %, "
            f"eager {accuracies[1]:.2f} %"
        )
        loss = accuracies[1] - accuracies[0]
        reached.append(print_bar(console, f"points that {variant} loses", loss, BAR_POINTS, at_least=False))
    gate = int8.manifest.gate
    console.print(f"gate: {'passed' if gate.passed else 'refused'}: {gate.why}")
    return all(reached) and gate.passed


def find_bar(features: Sequence[str]) -> float:
    """How many times eager's rows/s are promised on a CPU."""
    return BAR_RATIO if any("VNNI" in feature for feature in features) else BAR_RATIO_WITHOUT_VNNI


def measure_single_ms(subject: Subject, grpc_url: str, measure_s: float) -> float:
    """Median latency of one caller's requests of one row.

    Raises:
        ThroughputError: a request failed.
    """
    (recording,) = run_closed_loop(
        ClosedLoop(
            traffic=aim(subject, Addresses(grpc=grpc_url), rows_per_request=1),
            callers=(1,),
            warm_up_s=_WARM_UP_S,
            least_s=measure_s,
            most_s=measure_s,
        )
    )
    median_ms = recording.find_percentile_ms(50)
    if recording.errors or median_ms is None:
        raise ThroughputError(f"{subject.name}: {recording.errors}")
    return median_ms
