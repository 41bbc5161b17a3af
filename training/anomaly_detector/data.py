"""Usual signals to learn from, and signals of all labels to be told apart.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.anomaly_detector.recipe import Recipe
from training.signals.cardiogram import LABELS
from training.signals.recordings import GENERATED, SignalData, Signals, generate_signals, load_recordings


@dataclass(frozen=True, kw_only=True)
class UsualData:
    """Usual signals float32 [N, L] that train and validate, and a test part of which `usual` is one label."""

    name: str
    labels: tuple[str, ...]
    usual: str
    train: Tensor
    validation: Tensor
    test: Signals

    @property
    def num_samples(self) -> int:
        return self.train.shape[1]

    @property
    def is_unusual(self) -> np.ndarray:
        """Which test signals are to be found, bool [N]."""
        return (self.test.labels != self.labels.index(self.usual)).numpy()


def load_data(source: str, root: Path, recipe: Recipe) -> UsualData:
    """Load `generated`, or the usual ones of what `load_recordings` loads, and its whole test part.

    Raises:
        ValueError: as `load_recordings`, or there is no such label, or all of a part are of it, or none.
        FileNotFoundError: as `load_recordings`.
    """
    if source == GENERATED:
        check_usual(GENERATED, LABELS, recipe.usual)
        return _generate(recipe)
    return keep_usual(load_recordings(source, root, recipe.validation_fraction), recipe.usual)


def keep_usual(data: SignalData, usual: str) -> UsualData:
    """Leave out of training and validation whatever is not usual."""
    check_usual(data.name, data.labels, usual)
    number = data.labels.index(usual)
    train, validation = (part.values[part.labels == number] for part in (data.train, data.validation))
    kept = UsualData(
        name=data.name, labels=data.labels, usual=usual, train=train, validation=validation, test=data.test
    )
    if not len(train) or not len(validation) or len(set(kept.is_unusual.tolist())) < 2:
        raise ValueError(
            f"{data.name} has {len(train)} training, {len(validation)} validation and {(~kept.is_unusual).sum()} test "
            f"signals that are {usual}, and {kept.is_unusual.sum()} to test with that are not; give some of each"
        )
    return kept


def check_usual(name: str, labels: tuple[str, ...], usual: str) -> None:
    """Raises a ValueError where nothing is called so."""
    if usual not in labels:
        raise ValueError(f"usual={usual} is no label of {name}; there are {', '.join(labels)}")


def _generate(recipe: Recipe) -> UsualData:
    number = LABELS.index(recipe.usual)
    counts = (recipe.num_train, recipe.num_validation)
    train, validation = (
        generate_signals(torch.full((count,), number), recipe, part).values for part, count in enumerate(counts)
    )
    others = torch.tensor([label for label in range(len(LABELS)) if label != number])
    rows = torch.arange(recipe.num_test)
    labels = torch.where(rows % 2 == 0, number, others[rows // 2 % len(others)])
    test = generate_signals(labels, recipe, len(counts))
    return UsualData(name=GENERATED, labels=LABELS, usual=recipe.usual, train=train, validation=validation, test=test)
