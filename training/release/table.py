"""The table of a release: quality and speed of every variant, and what the gate said."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from model_store.baseline_words import tell_baseline
from model_store.frontier import FRONT_MARK, in_brackets
from training.release.evaluation import Evaluated, EvaluatedParent, Evaluation
from training.release.spec import ReleaseSpec, TensorSpec
from training.release.value_ranges import in_words

COLUMNS = ("variant", "quality", "95 % interval", "difference", "rows/s", "one row", "size", "front", "gate")
_WIDTH = 175  # where no terminal says how wide it is


def print_evaluation(spec: ReleaseSpec, evaluation: Evaluation) -> None:
    """Print all variants with their numbers, why others were rejected or left out, and what was found about inputs."""
    title = f"{spec.model}: {spec.held_out.metric} on {spec.held_out.dataset}, margin {spec.margin:g}"
    rows = _rows(evaluation)
    if importlib.util.find_spec("rich"):
        from rich.console import Console
        from rich.table import Table

        table = Table(*COLUMNS, title=title)
        for row in rows:
            table.add_row(*row)
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)
    else:
        print(title)
        _print_plain([COLUMNS, *rows])
    print(f"{next(iter(evaluation.variants))} {_describe_learning(evaluation)}")
    for variant, result in evaluation.variants.items():
        if result.against_parent is not None:
            low, high = result.against_parent.interval
            change = f"{result.against_parent.difference:+.4f} ({low:+.4f} … {high:+.4f})"
            gain = result.speed.rows_per_s / evaluation.parent.speed.rows_per_s if evaluation.parent else 1.0
            print(
                f"{variant} against {result.against_parent.reference}, which it was made from: {change}, "
                f"{gain:.2f} × its rows/s"
            )
        if not result.decision.passed:
            print(f"{variant} rejected: {result.decision.why}")
    for variant, search in evaluation.searches.items():
        print(f"{variant} was searched on {search.n} rows of {search.dataset}:")
        for trial in search.trials:
            low, high = trial.interval
            print(
                f"  {'chosen' if trial.is_chosen else '      '}  {trial.rounding}: {trial.difference:+.4f} "
                f"({low:+.4f} … {high:+.4f}), {trial.rows_per_s:,.0f} rows/s, {'passed' if trial.passed else 'failed'}"
            )
        for rounding, why in search.left_out.items():
            print(f"          {rounding}: left out, {why}")
    for variant, why in evaluation.left_out.items():
        print(f"{variant} left out: {why}")
    for tensor in spec.inputs:
        _print_range(tensor)
    finding = next(iter(evaluation.variants.values())).finding
    if not finding.independent:
        print(
            f"WARNING: the rows of {spec.model} depend on each other: {finding.why}.\n"
            f"WARNING: {spec.model} is released with max_rows 1: each row is answered alone, which is slow. Make the "
            "program treat each row by itself to have batches."
        )


def _describe_learning(evaluation: Evaluation) -> str:
    found = evaluation.baseline
    if found is None:
        return "has no baseline: nobody checked whether it has learned anything"
    return tell_baseline(found)


def _print_range(tensor: TensorSpec) -> None:
    if tensor.datatype.startswith(("INT", "UINT")) and tensor.datatype != "UINT8":
        if tensor.minimum is None or tensor.maximum is None:
            print(
                f"{tensor.name} takes any {tensor.datatype}; if it is an index, say which it may be: "
                f"--range {tensor.name}=0:99"
            )
        else:
            print(f"{tensor.name} takes {in_words((tensor.minimum, tensor.maximum))}; requests outside are refused")


def _rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for variant, result in evaluation.variants.items():
        difference = "reference"
        if result.comparison is not None:
            bounds = result.comparison.interval
            difference = f"{result.comparison.difference:+.4f} ({bounds[0]:+.4f} … {bounds[1]:+.4f})"
        outcome = "default" if variant == evaluation.default else result.decision.outcome
        rows.append(
            (
                variant,
                *_quality(result.measurement.value, result.measurement.interval),
                difference,
                *_cost(result),
                FRONT_MARK if variant in evaluation.front else "",
                outcome,
            )
        )
    if evaluation.parent is not None:
        parent = evaluation.parent
        rows.append(("(made from)", *_quality(parent.value, parent.interval), "", *_cost(parent), "", ""))
    return rows


def _quality(value: float, interval: tuple[float, float]) -> tuple[str, str]:
    return f"{value:.4f}", f"{interval[0]:.4f} … {interval[1]:.4f}"


def _cost(measured: Evaluated | EvaluatedParent) -> tuple[str, str, str]:
    speed = measured.speed
    return (
        f"{speed.rows_per_s:,.0f}{in_brackets(speed.rows_per_s_interval, ',.0f')}",
        f"{speed.single_row_ms:.3f}{in_brackets(speed.single_row_ms_interval, '.3f')} ms",
        f"{measured.size_bytes / 1e6:.1f} MB",
    )


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
