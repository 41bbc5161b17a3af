"""What the gate measures: quality and speed of packed archives, through the handler that serves them."""

from __future__ import annotations

import hashlib
import os
import platform
import statistics as stats
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from handlers.base import Handler
from host.cpu import cpu_model
from training.release.spec import HeldOut
from training.release.statistics import (
    NEAR_IDENTICAL_ROWS,
    bootstrap_interval,
    bound_of_change,
    mcnemar_p,
    median_interval,
    paired_bootstrap,
    paired_difference_interval,
    wilson_interval,
)

_BATCH_ROWS = 32
_NUM_REPEATS = 9
_REPEAT_S = 0.05
# Of the way to another answer: a variant of which no row went further is the same function but for rounding.
NEAR_IDENTICAL = 0.1


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a variant differs from the reference on the same rows; the first fields are the manifest's PairedTest.

    `counts` are wins, losses and rows of binary scores, `num_rows` that of all.
    """

    name: str
    reference: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    num_rows: int
    counts: tuple[int, int, int] | None = None
    is_near_identical: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Quality of one variant: `scores` [N, ...] per held-out row, the metric and its 95 % interval.

    `doubts` [N] where the scores have them; `fault` says what is wrong with the outputs themselves, '' if nothing.
    """

    scores: np.ndarray
    value: float
    interval: tuple[float, float]
    doubts: np.ndarray | None = None
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Speed of a variant in process, through its handler; the fields of the manifest's Speed."""

    rows: int
    rows_per_s: float
    single_row_ms: float
    threads: int
    host: str
    rows_per_s_interval: tuple[float, float]
    single_row_ms_interval: tuple[float, float]


def answer_rows(
    handler: Handler, held_out: HeldOut, max_rows: int, progress: Callable[[int], None] = lambda rows: None
) -> dict[str, np.ndarray]:
    """Send all held-out rows through a handler, in batches; returns all its outputs.

    Raises:
        ValueError: a held-out row fails in the handler.
    """
    num_rows = len(next(iter(held_out.inputs.values())))
    batches = []
    for start in range(0, num_rows, min(_BATCH_ROWS, max_rows)):
        inputs = {name: array[start : start + min(_BATCH_ROWS, max_rows)] for name, array in held_out.inputs.items()}
        outputs = handler.infer(inputs, held_out.parameters, handler.output_names)
        failed = next((error for error in outputs.row_errors if error), None)
        if failed:
            raise ValueError(f"a held-out row fails in the handler: {failed}")
        batches.append(outputs.arrays)
        progress(len(next(iter(inputs.values()))))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def find_fault(outputs: Mapping[str, np.ndarray]) -> str:
    """Say which outputs are NaN or infinite; '' if none are."""
    for name, array in outputs.items():
        if array.dtype.kind == "f":
            bad = np.count_nonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))
            if bad:
                return f"output {name} is NaN or infinite in {bad} of {len(array)} rows whose inputs are finite"
    return ""


def measure_quality(
    handler: Handler, held_out: HeldOut, max_rows: int, progress: Callable[[int], None] = lambda rows: None
) -> Measurement:
    """Send all held-out rows through a handler and score its outputs.

    Raises:
        ValueError: a held-out row fails in the handler.
    """
    assert held_out.score is not None, "check_reference gives a score to rows that have none"
    outputs = answer_rows(handler, held_out, max_rows, progress)
    scores = np.asarray(held_out.score(outputs))
    if held_out.binary:
        interval = wilson_interval(int(scores.sum()), len(scores))
    else:
        interval = bootstrap_interval(scores, held_out.aggregate)
    return Measurement(
        scores=scores,
        value=held_out.summarize(scores),
        interval=interval,
        doubts=held_out.doubt(outputs) if held_out.doubt is not None else None,
        fault=find_fault(outputs),
    )


def compare(variant: Measurement, reference: Measurement, held_out: HeldOut, reference_name: str) -> Comparison:
    """Compare a variant with the reference, row by row."""
    n, counts, is_near_identical = len(variant.scores), None, False
    if held_out.binary:
        better, worse = variant.scores > reference.scores, variant.scores < reference.scores
        counts = (int(better.sum()), int(worse.sum()), n)
        name, p_value = "McNemar (mid-p), Tango interval", mcnemar_p(*counts[:2])
        interval = paired_difference_interval(*counts)
        doubts = variant.doubts
        is_near_identical = doubts is not None and n >= NEAR_IDENTICAL_ROWS and doubts.max() <= NEAR_IDENTICAL
        if doubts is not None and is_near_identical:
            name, bound = "Student's t bound of the share of changed rows", bound_of_change(doubts)
            interval = (-bound, bound)
    else:
        name = "paired bootstrap"
        low, high, p_value = paired_bootstrap(variant.scores, reference.scores, held_out.aggregate)
        interval = (low, high)
    return Comparison(
        name=name,
        reference=reference_name,
        difference=variant.value - reference.value,
        interval=interval,
        p_value=p_value,
        num_rows=n,
        counts=counts,
        is_near_identical=is_near_identical,
    )


def measure_speed(handlers: Mapping[str, Handler], held_out: HeldOut, max_rows: int) -> dict[str, Timing]:
    """Time variants alternately on the same rows: a batch of up to 32, and one row; medians of the repeats.

    One CPU thread, so that figures compare between machines and do not hang on what else the other cores do.
    """
    rows = min(_BATCH_ROWS, max_rows)
    num_given = len(next(iter(held_out.inputs.values())))
    batch = {name: array[np.arange(rows) % num_given] for name, array in held_out.inputs.items()}
    single = {name: array[:1] for name, array in held_out.inputs.items()}
    batch_s: dict[str, list[float]] = {name: [] for name in handlers}
    single_s: dict[str, list[float]] = {name: [] for name in handlers}
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for handler in handlers.values():
        for warm_up in (batch, single, batch, single):
            handler.infer(warm_up, held_out.parameters)
    for _ in range(_NUM_REPEATS):
        for name, handler in handlers.items():
            batch_s[name].append(_seconds_per_call(handler, batch, held_out.parameters))
            single_s[name].append(_seconds_per_call(handler, single, held_out.parameters))
    torch.set_num_threads(num_threads)
    return {
        name: Timing(
            rows=rows,
            rows_per_s=rows / stats.median(batch_s[name]),
            single_row_ms=1000 * stats.median(single_s[name]),
            threads=1,
            host=host_name(torch.device(handlers[name].device.name)),
            rows_per_s_interval=median_interval([rows / time_s for time_s in batch_s[name]]),
            single_row_ms_interval=median_interval([1000 * time_s for time_s in single_s[name]]),
        )
        for name in handlers
    }


def rows_digest(inputs: Mapping[str, np.ndarray]) -> str:
    """sha256 over held-out rows."""
    digest = hashlib.sha256()
    for name in sorted(inputs):
        array = inputs[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        if array.dtype == np.object_:
            for element in array.ravel():
                data = element.encode() if isinstance(element, str) else bytes(element)
                digest.update(len(data).to_bytes(8, "little") + data)
        else:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def host_name(device: torch.device) -> str:
    """Name the processor that a figure was measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{cpu_model()} × {os.cpu_count()}" if cpu_model() else platform.machine()


def _seconds_per_call(handler: Handler, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> float:
    calls, start = 0, time.perf_counter()
    while True:
        handler.infer(inputs, parameters)
        calls += 1
        elapsed_s = time.perf_counter() - start
        if elapsed_s >= _REPEAT_S:
            return elapsed_s / calls
