"""Which kinds of model there are, and what each offers to the rest of the house.

A kind is found because its folder has a `model.py`, which holds one `Model` under the name `MODEL`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from training.engine.options import TrainOptions
from training.release.spec import ReleaseSpec

Recipe = TypeVar("Recipe")
_TRAINING = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Model(Generic[Recipe]):
    """Everything that the command line, `release` and other kinds may know about a kind.

    `presets` hold "demo", which takes seconds on embedded data. Each recipe has a field `data`, the data set where
    none is asked for; `data_sets` say what may be asked for. `train(recipe, options)` leaves a finished run and returns
    its folder, `describe_release(run, device)` makes of it what `release` takes. `length` is the field of the recipe
    that says how long to train: a run may be resumed with a greater one. `compare(first, second)` says whether
    two finished runs differ, `inspect(file, folder)` describes a file of data and draws it into a folder. `commands`
    are further verbs by name, functions that typer can call: `train KIND NAME`. `divides_batches` says that its
    steps take this process's share of a batch where torchrun has started several.
    """

    kind: str
    summary: str
    presets: Mapping[str, Recipe]
    data_sets: Mapping[str, str]
    train: Callable[[Recipe, TrainOptions], Path]
    describe_release: Callable[[Path, str], ReleaseSpec]
    length: str = "epochs"
    divides_batches: bool = False
    compare: Callable[[Path, Path], str] | None = None
    inspect: Callable[[Path, Path], str] | None = None
    commands: Mapping[str, Callable[..., None]] = field(default_factory=dict)


def list_kinds() -> list[str]:
    """Name all kinds, in alphabetical order."""
    return sorted(path.parent.name for path in _TRAINING.glob("*/model.py"))


def load_model(kind: str) -> Model[Any]:
    """Import a kind's model.

    Raises:
        ValueError: there is no such kind, or two folders claim it: a kind is named as its folder.
    """
    if kind not in list_kinds():
        raise ValueError(f"unknown model {kind!r}; there are: {', '.join(list_kinds())}")
    model: Model[Any] = importlib.import_module(f"training.{kind}.model").MODEL
    if model.kind != kind:
        raise ValueError(
            f"training/{kind}/model.py claims the kind {model.kind!r}, which belongs to training/{model.kind}; "
            f"a kind is named as its folder: {kind!r}"
        )
    return model
