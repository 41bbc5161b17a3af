"""Measure all built variants through their packed handlers, and decide which may be served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from handlers.archive import open_handler
from host.progress import ProgressBar
from training.release.build import Built
from training.release.gate import (
    Comparison,
    Measurement,
    Timing,
    Verdict,
    choose_default,
    compare,
    judge,
    measure_quality,
    measure_speed,
)
from training.release.spec import ReleaseSpec


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One variant with its numbers."""

    folder: Path
    measurement: Measurement
    comparison: Comparison | None
    verdict: Verdict
    timing: Timing
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All variants that were built, in order, the reference first; the default is the fastest that passed."""

    variants: dict[str, Evaluated]
    default: str
    left_out: dict[str, str]


def evaluate_variants(built: Built, spec: ReleaseSpec, device: torch.device) -> Evaluation:
    """Gate the built variants and time them against each other."""
    reference = next(iter(built.folders))
    handlers = {variant: open_handler(folder, str(device)) for variant, folder in built.folders.items()}
    num_rows = len(next(iter(spec.held_out.inputs.values())))
    measured = {}
    with ProgressBar("measuring quality", total=num_rows * len(handlers)) as bar:
        for variant, handler in handlers.items():
            measured[variant] = measure_quality(handler, spec.held_out, spec.max_rows, bar.advance)
    timings = measure_speed(handlers, spec.held_out, spec.max_rows)
    variants = {}
    for variant, folder in built.folders.items():
        comparison = None
        if variant != reference:
            comparison = compare(measured[variant], measured[reference], spec.held_out, reference)
        variants[variant] = Evaluated(
            folder=folder,
            measurement=measured[variant],
            comparison=comparison,
            verdict=judge(comparison, spec.margin),
            timing=timings[variant],
            size_bytes=sum(file.stat().st_size for file in (folder / "programs").rglob("*") if file.is_file()),
        )
    passed = [variant for variant, result in variants.items() if result.verdict.passed]
    return Evaluation(variants=variants, default=choose_default(passed, timings), left_out=built.left_out)
