"""Measure all built variants through their packed handlers, and decide which may be served."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from handlers.archive import open_handler
from handlers.base import Handler
from host.exclusion import Alone
from host.progress import ProgressBar
from model_store.default_variant import Objective, choose_default
from model_store.frontier import Figures, figures_of, find_front
from training.release.baseline import BaselineFinding, compare_with_baseline, refuse_untrained
from training.release.build import Built
from training.release.gate import Decision, explain_rows, judge
from training.release.golden import Recorded, choose_examples, record_golden
from training.release.measurement import (
    Comparison,
    Measurement,
    Timing,
    compare,
    measure_quality,
    measure_speed,
)
from training.release.parent import Parent
from training.release.rounding import Search
from training.release.row_check import RowFinding, check_rows
from training.release.spec import ReleaseSpec

_PARENT = "its parent"  # no variant's name


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One variant with its numbers, and its golden rows if it may be served."""

    folder: Path
    finding: RowFinding
    measurement: Measurement
    comparison: Comparison | None
    against_parent: Comparison | None
    decision: Decision
    speed: Timing
    size_bytes: int
    golden: Recorded

    @property
    def figures(self) -> Figures:
        """What it is weighed by against the others."""
        return figures_of(self.comparison, self.speed, self.size_bytes)


@dataclass(frozen=True, kw_only=True)
class EvaluatedParent:
    """The run that the released one was made from, its networks as they are timed in turns with the variants."""

    run: str
    value: float
    interval: tuple[float, float]
    speed: Timing
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All variants that were built, in order, the reference first; the default is the best at the objective."""

    variants: dict[str, Evaluated]
    default: str
    objective: Objective
    left_out: dict[str, str]
    parent: EvaluatedParent | None = None
    searches: Mapping[str, Search] = field(default_factory=dict)
    baseline: BaselineFinding | None = None

    @property
    def front(self) -> list[str]:
        """The variants that no other beats, among those that may be served."""
        return find_front({name: one.figures for name, one in self.variants.items() if one.decision.passed})


def evaluate_variants(
    built: Built,
    spec: ReleaseSpec,
    device: torch.device,
    found: RowFinding | None = None,
    objective: Objective = Objective.THROUGHPUT,
    parent: Parent | None = None,
    *,
    allow_untrained: bool = False,
    alone: Alone = nullcontext,
) -> Evaluation:
    """Gate the built variants and time them against each other; `found` is what the networks' own row check found.

    They are timed in the context that `alone` makes.

    Where the run was made from another, its `parent`, all variants are compared with that too; this decides nothing.

    Raises:
        ValueError: the reference itself may not be served; says why.
        UntrainedError: nor may one that is no better than its baseline, unless that is allowed.
    """
    handlers = {variant: open_handler(folder, str(device)) for variant, folder in built.folders.items()}
    findings, measured = _measure(handlers, spec, found)
    faults = {
        variant: [fault for fault in (explain_rows(findings[variant]), measured[variant].fault) if fault]
        for variant in handlers
    }
    reference = next(iter(handlers))
    if faults[reference]:
        why = faults[reference][0]
        raise ValueError(f"{reference}, which the others are compared with, is not fit to be served: {why}")
    baseline = compare_with_baseline(measured[reference], spec.held_out)
    if not allow_untrained:
        refuse_untrained(baseline, measured[reference], spec.held_out)
    timed = handlers if parent is None else handlers | {_PARENT: parent.handler}
    with alone():
        speeds = measure_speed(timed, spec.held_out, spec.max_rows)
    variants: dict[str, Evaluated] = {}
    for variant, folder in built.folders.items():
        comparison = against_parent = None
        if variant != reference:
            comparison = compare(measured[variant], measured[reference], spec.held_out, reference)
        if parent is not None:
            against_parent = compare(measured[variant], parent.measurement, spec.held_out, str(parent.run))
        decision = judge(comparison, spec.margin, faults[variant])
        variants[variant] = Evaluated(
            folder=folder,
            # One row is always independent: what limits a release to it is what its networks did with more.
            finding=found if found is not None and not found.independent else findings[variant],
            measurement=measured[variant],
            comparison=comparison,
            against_parent=against_parent,
            decision=decision,
            speed=speeds[variant],
            size_bytes=sum(file.stat().st_size for file in (folder / "programs").rglob("*") if file.is_file()),
            golden=_record(handlers[variant], spec, findings[variant], variants.get(reference))
            if decision.passed
            else Recorded(),
        )
    return Evaluation(
        variants=variants,
        default=choose_default({name: one for name, one in variants.items() if one.decision.passed}, objective),
        objective=objective,
        left_out=built.left_out,
        searches=built.searches,
        baseline=baseline,
        parent=_describe_parent(parent, speeds[_PARENT]) if parent is not None else None,
    )


def _measure(
    handlers: Mapping[str, Handler], spec: ReleaseSpec, found: RowFinding | None
) -> tuple[dict[str, RowFinding], dict[str, Measurement]]:
    """Check each variant's rows for independence, and measure its quality."""
    num_rows = len(next(iter(spec.held_out.inputs.values())))
    failing = found.failing if found is not None else ()
    findings, measured = {}, {}
    with ProgressBar("measuring quality", total=num_rows * len(handlers)) as bar:
        for variant, handler in handlers.items():
            findings[variant] = check_rows(
                handler, spec.held_out.inputs, spec.held_out.parameters, spec.max_rows, failing
            )
            measured[variant] = measure_quality(handler, spec.held_out, spec.max_rows, bar.advance)
    return findings, measured


def _record(handler: Handler, spec: ReleaseSpec, finding: RowFinding, reference: Evaluated | None) -> Recorded:
    """Record a variant's golden rows, measured by those of the reference, which has none before it."""
    known = reference.golden if reference is not None else None
    examples = choose_examples(spec)
    return record_golden(handler, examples, spec.input_sets, spec.max_rows, finding.tolerance, known)


def _describe_parent(parent: Parent, speed: Timing) -> EvaluatedParent:
    return EvaluatedParent(
        run=str(parent.run),
        value=parent.measurement.value,
        interval=parent.measurement.interval,
        speed=speed,
        size_bytes=parent.size_bytes,
    )
