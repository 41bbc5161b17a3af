"""Clean signals in three parts: generated electrocardiograms, or a file of one's own; held-out ones are disturbed once.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.engine.data_path import find_path
from training.engine.seeds import generator_for
from training.signal_denoiser.recipe import Recipe
from training.signals.cardiogram import LABELS, draw_cardiograms
from training.signals.disturbances import draw_disturbances, draw_levels

GENERATED, ARRAY = "generated", "array"
DATA_SETS = {
    GENERATED: "electrocardiograms of invented patients, healthy and ill; held out by patients",
    "array:FILE": "an .npy file of clean signals [N, L], here or below --data-root; its last fifth tests, the tenth "
    "before it validates",
}
_PARTS_SEED, _DISTURBANCE = 20_261_127, 7
_LEAST_SIGNALS = 10


@dataclass(frozen=True)
class Disturbed:
    """Signals float32 [N, L] as they were, around their own mean, as they came, and by how many decibels [N]."""

    clean: Tensor
    noisy: Tensor
    snr_db: Tensor

    def __len__(self) -> int:
        return len(self.clean)


@dataclass(frozen=True, kw_only=True)
class SignalData:
    """Clean signals [N, L] to train on, each disturbed anew for every step, and two parts that are always the same."""

    name: str
    train: Tensor
    validation: Disturbed
    test: Disturbed

    @property
    def num_samples(self) -> int:
        return self.train.shape[1]


def load_data(source: str, root: Path, recipe: Recipe) -> SignalData:
    """Load `generated` or `array:FILE`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown data, or a file that holds no signals.
    """
    if source == GENERATED:
        counts = (recipe.num_train, recipe.num_validation, recipe.num_test)
        parts = tuple(_generate(recipe, count, part) for part, count in enumerate(counts))
        name = GENERATED
    else:
        kind, _, place = source.partition(":")
        if kind != ARRAY or not place:
            raise ValueError(f"unknown data {source!r}; use {GENERATED} or {ARRAY}:FILE")
        path = find_path(place, root)
        name, parts = path.name, divide_signals(read_signals(path))
    train, *held_out = parts
    validation, test = (
        disturb(clean, recipe, generator_for(_PARTS_SEED, _DISTURBANCE, part)) for part, clean in enumerate(held_out)
    )
    return SignalData(name=name, train=train, validation=validation, test=test)


def read_signals(path: Path) -> Tensor:
    """Read clean signals float32 [N, L] from an .npy file.

    Raises:
        ValueError: it holds something else, too few signals, or one that never changes.
    """
    array = np.load(path, allow_pickle=False)
    if array.ndim != 2 or array.dtype.kind not in "iuf" or len(array) < _LEAST_SIGNALS:
        raise ValueError(
            f"{path} holds {array.dtype} {list(array.shape)}; give {_LEAST_SIGNALS} signals or more, numbers [N, L]"
        )
    rows = array.astype(np.float32)
    if not np.isfinite(rows).all() or not np.ptp(rows, 1).all():
        raise ValueError(f"{path} holds a signal that never changes, or what is no finite number; take it out")
    return torch.from_numpy(rows)


def divide_signals(signals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut off the last fifth to test with and the tenth before it to validate with, so neighbours stay together."""
    num_test, num_validation = len(signals) // 5, len(signals) // 10
    train, validation, test = signals.split([len(signals) - num_test - num_validation, num_validation, num_test])
    return train, validation, test


def disturb(clean: Tensor, recipe: Recipe, generator: torch.Generator) -> Disturbed:
    """Take the mean off clean signals [N, L] and add disturbances of the recipe's levels."""
    clean = clean - clean.mean(1, keepdim=True)
    snr_db = draw_levels(len(clean), *recipe.snr_db, generator)
    return Disturbed(clean, clean + draw_disturbances(clean, snr_db, recipe.rate_hz, generator), snr_db)


def _generate(recipe: Recipe, count: int, part: int) -> Tensor:
    labels = torch.arange(count) % len(LABELS)
    return draw_cardiograms(labels, recipe.num_samples, recipe.rate_hz, generator_for(_PARTS_SEED, part))
