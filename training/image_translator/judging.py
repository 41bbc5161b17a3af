"""Through whose eyes translations are seen: a classifier of the targets, or InceptionV3, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.image_translator.data import as_labelled_images
from training.image_translator.domains import TranslationData
from training.image_translator.recipe import Recipe
from training.images.features import FeatureNetwork
from training.images.judge import find_eyes, find_judge, locate_judge, open_judge

TARGETS = "targets.npz"


@dataclass(frozen=True, kw_only=True)
class Jury:
    """`judge` names the classes of translations, `eyes` are those that distances are about; None: there are none."""

    judge: FeatureNetwork | None
    eyes: FeatureNetwork | None


def find_jury(recipe: Recipe, data: TranslationData, run: Path, device: torch.device, seed: int) -> Jury:
    """Open the recipe's judge, or train one on the targets, which `run` keeps; without labels there is no judge."""
    if not data.labels:
        return _without_judge(recipe, device)
    images, file = as_labelled_images(data), (run / TARGETS).resolve()
    if not recipe.judge and not file.exists():
        arrays: dict[str, Any] = {"images": torch.cat([images.train.images, images.validation.images])}
        arrays |= {"labels": torch.cat([images.train.labels, images.validation.labels])}
        arrays |= {"test_images": images.test.images, "test_labels": images.test.labels}
        content: Any = {name: tensor.numpy() for name, tensor in arrays.items()}
        np.savez_compressed(file, names=np.array(data.labels), **content)
    judge = find_judge(recipe, images, run, source=f"arrays:{file}", data_root=run, device=device, seed=seed)
    return Jury(judge=judge, eyes=find_eyes(recipe, judge))


def open_jury(recipe: Recipe, data: TranslationData, run: Path, device: torch.device) -> Jury:
    """The jury of a finished run."""
    if not data.labels:
        return _without_judge(recipe, device)
    judge = open_judge(locate_judge(recipe, run), as_labelled_images(data), device)
    return Jury(judge=judge, eyes=find_eyes(recipe, judge))


def _without_judge(recipe: Recipe, device: torch.device) -> Jury:
    weights = recipe.inception_weights
    return Jury(judge=None, eyes=FeatureNetwork.of_inception(Path(weights), device) if weights else None)
