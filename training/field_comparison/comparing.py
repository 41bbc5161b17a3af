"""Trainings that differ in one field and in their seeds, and what their validations say of the field."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from training.engine.observation import observed_by
from training.engine.options import TrainOptions
from training.engine.overrides import override
from training.engine.runs import read_run, train_or_resume, write_json
from training.models import Model
from training.release.statistics import student_interval

_SCORE = "last_validation.json"


@dataclasses.dataclass(frozen=True)
class Result:
    """One choice: its score for each seed, and mean − the first choice's, paired by seed, with a 95 % interval."""

    choice: str
    scores: tuple[float, ...]
    difference: tuple[float, float, float] | None


def list_choices(recipe: Any, field: str) -> tuple[str, ...]:
    """What a field of a recipe may be.

    Raises:
        ValueError: the recipe has no such field, or it is no choice among words.
    """
    hints = get_type_hints(type(recipe))
    named = [name for name, hint in hints.items() if get_origin(hint) is Literal]
    if field not in named:
        raise ValueError(f"{field!r} is no field with a choice of words; those of this kind: {', '.join(named)}")
    return tuple(str(choice) for choice in get_args(hints[field]))


def train_choices(
    model: Model[Any], recipe: Any, field: str, choices: Sequence[str], common: TrainOptions, num_seeds: int
) -> dict[str, list[float]]:
    """Train each choice from each seed in a folder of its own; scores by choice, in the order of the seeds.

    Runs that are finished stay as they are, so that a comparison that was stopped goes on.
    """
    seeds = range(common.seed, common.seed + num_seeds)
    scores: dict[str, list[float]] = {choice: [] for choice in choices}
    for seed in seeds:
        for choice in choices:
            out = common.out / f"{choice}-{seed}"
            options = dataclasses.replace(common, preset=f"{field}={choice}", out=out, seed=seed)
            scores[choice].append(_train(model, override(recipe, [f"{field}={choice}"]), options))
    return scores


def _train(model: Model[Any], recipe: Any, options: TrainOptions) -> float:
    """Train one run, or find that it is trained; the score of its last validation, higher is better."""
    file = options.out / _SCORE

    def keep(run: Path, validation: int, score: float) -> None:
        write_json(file, {"validation": validation, "score": score})

    with observed_by(keep):
        train_or_resume(recipe, options, model.train)
    recorded = read_run(options.out)["recipe"]
    if recorded != json.loads(json.dumps(dataclasses.asdict(recipe))):
        raise ValueError(f"{options.out} was trained with another recipe; say another --out")
    return float(json.loads(file.read_text())["score"])


def compare_choices(scores: dict[str, list[float]]) -> list[Result]:
    """Pair every choice with the first by the seed, by Student's t."""
    first = np.array(next(iter(scores.values())))
    results = []
    for number, (choice, each) in enumerate(scores.items()):
        differences = np.array(each) - first
        bounded = (float(differences.mean()), *student_interval(differences))
        results.append(Result(choice, tuple(each), bounded if number else None))
    return results
