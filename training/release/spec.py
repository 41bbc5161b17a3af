"""What a model tells `release` about itself: the contract between a model's folder and the model-blind release steps.

A model's `servable.py` builds one `ReleaseSpec` from a finished run (`describe_release`). Plain dataclasses, because
the GPU check runs where neither pydantic nor the store is installed; `archive.py` turns them into the manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch


@dataclass(frozen=True, kw_only=True)
class SizeRangeSpec:
    """What one free dimension may be; the fields are those of `model_store.manifest.SizeRange`."""

    axis: int
    minimum: int = 1
    maximum: int | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One OIP tensor; the fields are those of `model_store.interface.Tensor`."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    meaning: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    size_ranges: tuple[SizeRangeSpec, ...] = ()
    finite: bool = True
    optional: bool = False
    max_element_bytes: int | None = None
    size_sets_time: bool = False
    singular: str = ""


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One request parameter; the fields are those of `model_store.interface.Parameter`."""

    name: str
    kind: str
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    readable_default: bool | int | float | str | None = None


@dataclass(frozen=True, kw_only=True)
class ProgramSpec:
    """A network to capture with `torch.export`: normalisation included, so that the handler knows no network class.

    `example_inputs` have 2 or more rows (1 would be specialised); `dynamic_shapes` as torch.export takes it, the row
    dimension dynamic from 1 to the manifest's maximum. `calibration` yields example inputs from training data, never
    held-out data, for static quantization; None: this program is never quantized. `quantization` "dynamic" needs none:
    each row of activations finds its own scale, which suits programs that are linear layers above all. A program that
    `is_exact` computes in float32 in every variant: those of lower precision hold it as the compiled one does.
    """

    module: torch.nn.Module
    example_inputs: tuple[torch.Tensor, ...]
    dynamic_shapes: Any
    calibration: Callable[[], Iterable[tuple[torch.Tensor, ...]]] | None = None
    quantization: Literal["static", "dynamic"] = "static"
    is_exact: bool = False


def describe_row_program(
    module: torch.nn.Module,
    rows: torch.Tensor,
    *,
    max_rows: int,
    device: str,
    quantization: Literal["static", "dynamic"] = "static",
) -> ProgramSpec:
    """Describe a program of one input of which only the number of rows is free; `rows` calibrate it."""

    def calibration() -> Iterable[tuple[torch.Tensor, ...]]:
        return ((piece.to(device),) for piece in rows.split(32))

    return ProgramSpec(
        module=module,
        example_inputs=(rows[:4].to(device),),
        dynamic_shapes=({0: torch.export.Dim("rows", min=1, max=max_rows)},),
        calibration=calibration,
        quantization=quantization,
    )


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Answers that take no learning, in a word or two, and their scores on the held-out rows, as `score` gives them."""

    name: str
    scores: np.ndarray


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Rows that no training step has seen, in the form in which a request brings them.

    `score(outputs)` maps the handler's outputs for all rows to one number per row, higher is better (for the classifier
    1 for a correct label and 0 else); the metric is their mean. Without a score, agreement with the reference variant's
    outputs takes its place. `binary` scores are compared by McNemar's test, others by the paired bootstrap. A metric
    that is no mean over rows (BLEU, Fréchet distance) gives `aggregate(scores)`, from per-row statistics [N, ...] to
    the metric, with higher is better. `doubt(outputs)` goes with binary scores: per row, how much of the way to another
    score the outputs' deviation may have gone, 0 to 1; below 1 the score cannot have changed. The reference has to be
    better than the `baseline`; without one nobody checks whether the model has learned anything.
    """

    inputs: Mapping[str, np.ndarray]
    score: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None
    metric: str
    dataset: str
    binary: bool = False
    aggregate: Callable[[np.ndarray], float] | None = None
    doubt: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None
    baseline: Baseline | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def summarize(self, scores: np.ndarray) -> float:
        """The metric of scores [N, ...]."""
        return float(scores.mean()) if self.aggregate is None else self.aggregate(scores)


@dataclass(frozen=True, kw_only=True)
class ReleaseSpec:
    """A model, ready to be captured, compiled, measured and packed.

    `margin` is in the metric's unit: a variant passes when, at 95 % confidence, it is worse than the reference by no
    more than this. `left_out` maps variants that make no sense for this model to the reason. `usage` is what a person
    types after `infer NAME`; where it is empty the hint is made from the examples. `kind` says which handler serves it;
    `name`, under which it is released, is the kind if not given. `parent` is the finished run that this one was made
    from (its teacher, the network it was pruned from): the release says how they compare. A model that `streams` has a
    handler that tells a row's answer bit by bit; one that `stops` asks `departed` before each of its steps.
    """

    kind: str
    description: str
    programs: Mapping[str, ProgramSpec]
    inputs: Sequence[TensorSpec]
    input_sets: Sequence[tuple[str, ...]]
    outputs: Sequence[TensorSpec]
    held_out: HeldOut
    margin: float
    examples: Mapping[str, np.ndarray] = field(default_factory=dict)
    default_outputs: tuple[str, ...] = ()
    parameters: Sequence[ParameterSpec] = ()
    handler_options: Mapping[str, Any] = field(default_factory=dict)
    extra_files: Mapping[str, Path] = field(default_factory=dict)
    max_rows: int = 64
    streams: bool = False
    stops: bool = False
    usage: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    run: Path | None = None
    parent: Path | None = None
    name: str = ""

    @property
    def model(self) -> str:
        """The name under which it is released."""
        return self.name or self.kind
