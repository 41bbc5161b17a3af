"""What a person asks of a run on the command line, and the recipe and options that follow from it."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.engine.options import TrainOptions
from training.engine.overrides import from_record, override
from training.engine.runs import read_run
from training.models import Model


@dataclass(frozen=True, kw_only=True)
class Request:
    """The command line; None where nothing was said. `changes` are field=value."""

    preset: str | None
    data: str | None
    data_root: Path | None
    out: Path
    device: str
    seed: int | None
    changes: tuple[str, ...]
    resume: bool
    overwrite: bool
    command: str


def name_common(words: Sequence[str], preset: str, data: str | None, changes: Sequence[str]) -> str:
    """The command that several runs of one call have in common, as their records keep it."""
    named = [*words, "--preset", preset, *(["--data", data] if data else [])]
    return shlex.join([*named, *(word for change in changes for word in ("--set", change))])


def settle(model: Model[Any], request: Request) -> tuple[Any, TrainOptions]:
    """Work out recipe and options; a resumed run takes both from its record, and may only be made longer.

    Raises:
        ValueError: no such preset or field, or a resumed run was given something else than it was started with.
        FileNotFoundError: there is no run to resume.
    """
    record: dict[str, Any] = read_run(request.out) if request.resume else {}
    preset = request.preset or record.get("preset", "demo")
    if preset not in model.presets:
        raise ValueError(f"{model.kind} has no preset {preset!r}; there are: {', '.join(model.presets)}")
    if request.resume:
        begun = from_record(type(model.presets[preset]), record["recipe"])
        recipe = override(begun, request.changes)
        _refuse_changes(model, record, begun, recipe, request)
    else:
        recipe = override(model.presets[preset], request.changes)
    options = TrainOptions(
        model=model.kind,
        preset=preset,
        data=request.data or record.get("data", recipe.data),
        data_root=request.data_root or Path(record.get("data_root", "data")),
        out=request.out,
        device=request.device,
        seed=record.get("seed", 0) if request.seed is None else request.seed,
        resume=request.resume,
        overwrite=request.overwrite,
        command=request.command,
    )
    return recipe, options


def _refuse_changes(model: Model[Any], record: dict[str, Any], begun: Any, recipe: Any, request: Request) -> None:
    """Allow a resumed run to be made longer, and nothing else."""
    asked = {"preset": request.preset, "data": request.data, "seed": request.seed}
    differing = [
        f"{name} {value} (was {record[name]})"
        for name, value in asked.items()
        if value is not None and value != record[name]
    ]
    before, after = dataclasses.asdict(begun), dataclasses.asdict(recipe)
    length = model.length
    differing += [
        f"{name}={after[name]} (was {before[name]})"
        for name in before
        if after[name] != before[name] and (name != length or after[name] < before[name])
    ]
    if differing:
        raise ValueError(
            f"--resume continues the run as it was started, {length} alone may be raised; "
            f"changed: {', '.join(differing)}"
        )
