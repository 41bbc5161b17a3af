"""Served int8 against served eager: images a second, accuracy and gate."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from loadtests.bench.ratio import measure_ratio, print_bar
from loadtests.bench.test_set import measure_accuracy, read_test_set
from loadtests.bench.throughput import measure_rows_per_s
from loadtests.subject import find_variant
from model_store.release import Release
from services.client import Client

BAR_RATIO = 4.0
BAR_POINTS = 0.3
TIMEOUT_S = 120.0


def compare_int8(
    release: Release, grpc_url: str, *, test_data: Path | None, repeats: int, measure_s: float, console: Console
) -> bool:
    """Compare the served variants `int8` and `eager` of a release; return whether every bar is reached.

    Raises:
        LookupError: the release does not serve one of them; says why.
    """
    int8, eager = (find_variant(release, name) for name in ("int8", "eager"))
    ratio = measure_ratio(
        "int8",
        lambda: measure_rows_per_s(int8, grpc_url, measure_s),
        "eager",
        lambda: measure_rows_per_s(eager, grpc_url, measure_s),
        unit="rows/s",
        repeats=repeats,
        console=console,
    )
    console.print(str(ratio))
    reached = [print_bar(console, "int8 ÷ eager, served", ratio.value, BAR_RATIO, unit="×")]
    if test_data:
        test_set = read_test_set(test_data)
        with Client(grpc_url, timeout_s=TIMEOUT_S) as client:
            accuracies = [100 * measure_accuracy(test_set, client, subject.manifest) for subject in (int8, eager)]
        console.print(
            f"accuracy of {len(test_set.labels):,} served rows: int8 {accuracies[0]:.2f} %, eager {accuracies[1]:.2f} %"
        )
        loss = accuracies[1] - accuracies[0]
        reached.append(print_bar(console, "points that int8 loses", loss, BAR_POINTS, at_least=False))
    gate = int8.manifest.gate
    console.print(f"gate: {'passed' if gate.passed else 'refused'}: {gate.why}")
    return all(reached) and gate.passed
