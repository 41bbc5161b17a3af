"""Classifiers that training of what draws images needs: one to judge it, one that learns from its images.

Both are ordinary runs of the kind `classifier`, trained as a person would train them but for pictures, which nobody
looks at, in folders of their own inside the generator's run.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Protocol

import torch

from training.engine.options import TrainOptions
from training.engine.runs import read_run
from training.images.features import FeatureNetwork
from training.images.splits import ImageData
from training.models import load_model

_KIND = "classifier"


class Judged(Protocol):
    """What a recipe says about its judge."""

    @property
    def judge(self) -> str: ...
    @property
    def judge_preset(self) -> str: ...
    @property
    def judge_epochs(self) -> float: ...
    @property
    def inception_weights(self) -> str: ...
    @property
    def validation_fraction(self) -> float: ...
    @property
    def resolution(self) -> int: ...


def train_classifier(
    recipe: Judged, data: str, data_root: Path, out: Path, *, epochs: float, device: torch.device, seed: int
) -> dict[str, Any]:
    """Train a classifier on a data set into the run `out`, cut and resized as the generator's; return its figures."""
    model = load_model(_KIND)
    asked = dataclasses.replace(
        model.presets[recipe.judge_preset],
        data=data,
        epochs=epochs,
        validation_fraction=recipe.validation_fraction,
        resolution=recipe.resolution,
    )
    options = TrainOptions(
        model=_KIND,
        preset=recipe.judge_preset,
        data=data,
        data_root=data_root,
        out=out,
        device=str(device),
        seed=seed,
        overwrite=out.exists(),
        pictures=False,
    )
    metrics: dict[str, Any] = read_run(model.train(asked, options))["metrics"]
    return metrics


def find_judge(
    recipe: Judged, data: ImageData, run: Path, *, source: str, data_root: Path, device: torch.device, seed: int
) -> FeatureNetwork:
    """Open the recipe's judge, or train one on the same data into the folder `judge` of `run`."""
    folder = locate_judge(recipe, run)
    if not recipe.judge and not (folder.exists() and read_run(folder)["finished"]):
        train_classifier(recipe, source, data_root, folder, epochs=recipe.judge_epochs, device=device, seed=seed)
    return open_judge(folder, data, device)


def locate_judge(recipe: Judged, run: Path) -> Path:
    """The folder of the classifier that judges a run."""
    return Path(recipe.judge) if recipe.judge else run / "judge"


def open_judge(run: Path, data: ImageData, device: torch.device) -> FeatureNetwork:
    """Take the network of a finished classifier run, as it would be released.

    Raises:
        FileNotFoundError: the folder holds no finished run.
        ValueError: the run is none of a classifier, or it was trained on images or classes of another kind.
    """
    kind = read_run(run)["model"]
    if kind != _KIND:
        raise ValueError(f"{run} is a run of {kind}; judge=RUN takes one of {_KIND}")
    spec = load_model(_KIND).describe_release(run, str(device))
    labels, shape = tuple(spec.handler_options["labels"]), tuple(spec.inputs[0].shape[1:])
    if labels != data.labels or shape != data.shape:
        raise ValueError(
            f"the classifier {run} knows {len(labels)} classes of images {shape}, these data have {len(data.labels)} "
            f"of {data.shape}; give one trained on the same data with --set judge=RUN"
        )
    return FeatureNetwork(spec.programs["main"].module, labels, device)


def find_eyes(recipe: Judged, judge: FeatureNetwork) -> FeatureNetwork:
    """Whose features distances are about: InceptionV3's where the recipe has its weights, else the judge's."""
    if not recipe.inception_weights:
        return judge
    return FeatureNetwork.of_inception(Path(recipe.inception_weights), judge.device)
