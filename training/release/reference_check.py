"""What is asked of a model before anything is built: answers that can be repeated, are finite, and are a row's own."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import torch

from training.release.agreement import score_agreement
from training.release.measurement import answer_rows, find_fault
from training.release.reference import open_reference
from training.release.row_check import RowFinding, check_rows
from training.release.spec import HeldOut, ReleaseSpec


@dataclasses.dataclass(frozen=True)
class CheckedReference:
    """The spec to build, its `max_rows` 1 where rows depend on each other, and what was found."""

    spec: ReleaseSpec
    finding: RowFinding


def check_reference(spec: ReleaseSpec, device: torch.device) -> CheckedReference:
    """Run a model's networks through its handler, before minutes are spent on compiling them.

    A spec without a score gets one: agreement with the answers found here.

    Raises:
        ValueError: the model is not fit to be released; says why and what to do.
    """
    held_out = spec.held_out
    with tempfile.TemporaryDirectory(prefix="release-") as work:
        handler = open_reference(spec, device, Path(work))
        finding = check_rows(handler, held_out.inputs, held_out.parameters, spec.max_rows)
        _refuse_unfit(finding, held_out)
        if not finding.independent:
            spec = dataclasses.replace(spec, max_rows=1)
        if held_out.score is None:
            answers = answer_rows(handler, held_out, spec.max_rows)
            if find_fault(answers):
                raise ValueError(
                    f"{find_fault(answers)}: a caller would get no answer; mend the program, or declare with --range "
                    "which inputs it takes"
                )
            spec = dataclasses.replace(spec, held_out=score_agreement(held_out, answers))
    return CheckedReference(spec, finding)


def _refuse_unfit(finding: RowFinding, held_out: HeldOut) -> None:
    if not finding.is_repeatable:
        raise ValueError(
            f"{finding.why}. It draws random numbers in each call, as Dropout does in training mode: call .eval() on "
            "the module before torch.export.export, and let a program that must draw take its noise as an input"
        )
    if not finding.independent and finding.is_constant:
        raise ValueError(
            f"{finding.why}, and alone all rows get the same answer: it computes statistics over the rows of a batch, "
            "as BatchNorm does in training mode, so no batch size gives right answers; call .eval() on the module "
            "before torch.export.export"
        )
