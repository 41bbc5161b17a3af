"""Labelled signals in three parts: generated electrocardiograms, or recordings in their usual layouts.

Dimensions: N signals, L samples.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.engine.data_path import find_path
from training.engine.seeds import generator_for
from training.signals.cardiogram import draw_cardiograms
from training.signals.disturbances import draw_disturbances, draw_levels
from training.signals.labelled_signals import LabelledSignals, read_folders, read_tables

GENERATED, FOLDER, TABLE = "generated", "folder", "table"
DATA_SETS = {
    GENERATED: "electrocardiograms of invented patients with one of five conditions, disturbed; held out by patients",
    "folder:PATH": "a folder of .npy files [L] or [N, L] for each label, in train/ and test/ or without; held out by "
    "files; here or below --data-root",
    "table:PATH": "NAME_train.csv and NAME_test.csv (Kaggle's MIT-BIH beats) in a folder, or one .csv file: a signal "
    "per line, its label's number last, named by classes.txt; here or below --data-root",
}
_SPLIT_SEED = 20_261_126
_TEST_FRACTION = 0.2


class Generation(Protocol):
    """What a recipe says of signals that are generated."""

    @property
    def num_samples(self) -> int: ...

    @property
    def rate_hz(self) -> float: ...

    @property
    def snr_db(self) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Signals:
    """Signals float32 [N, L], their labels int64 [N], and where it is known the decibels [N] above disturbances."""

    values: Tensor
    labels: Tensor
    snr_db: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, kw_only=True)
class SignalData:
    """A data set in three parts; no training step and no choice ever looks at `test`."""

    name: str
    labels: tuple[str, ...]
    train: Signals
    validation: Signals
    test: Signals

    @property
    def num_samples(self) -> int:
        return self.train.values.shape[1]

    def describe_parts(self) -> str:
        """Say where the signals went."""
        parts = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test signals"
        return f"{self.name}: {parts} of {self.num_samples} samples and {len(self.labels)} labels"


def generate_signals(labels: Tensor, recipe: Generation, part: int) -> Signals:
    """Draw disturbed electrocardiograms, each of a patient of its own with the condition `labels` [N].

    Parts 0, 1 and 2 train, validate and test: other numbers are other patients, the same number the same ones.
    """
    generator = generator_for(_SPLIT_SEED, part)
    clean = draw_cardiograms(labels, recipe.num_samples, recipe.rate_hz, generator)
    snr_db = draw_levels(len(labels), *recipe.snr_db, generator)
    return Signals(clean + draw_disturbances(clean, snr_db, recipe.rate_hz, generator), labels, snr_db)


def load_recordings(source: str, root: Path, validation_fraction: float) -> SignalData:
    """Load `folder:PATH` or `table:PATH`.

    Where no test part is given a fifth of the recordings is cut off, and always a validation part; by a fixed seed.
    Signals of one recording stay together, and what is in the test part to the last bit never trains.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: unknown data, or files that hold no labelled signals.
    """
    kind, _, place = source.partition(":")
    if kind not in (FOLDER, TABLE) or not place:
        raise ValueError(f"unknown data {source!r}; use {GENERATED}, {FOLDER}:PATH or {TABLE}:PATH")
    path = find_path(place, root)
    recorded, test_part = read_folders(path) if kind == FOLDER else read_tables(path)
    return divide_recordings(path.stem, recorded, test_part, validation_fraction)


def divide_recordings(
    name: str, recorded: LabelledSignals, test: LabelledSignals | None, validation_fraction: float
) -> SignalData:
    """Cut off what validates, and what tests if that is not given.

    Raises:
        ValueError: the parts have signals of different lengths, fewer than two labels are trained on, or others tested.
    """
    chance = random.Random(_SPLIT_SEED)
    if test is None:
        recorded, test = _cut(recorded, _TEST_FRACTION, chance)
    if recorded.values.shape[1] != test.values.shape[1]:
        lengths = f"{recorded.values.shape[1]} and {test.values.shape[1]} samples"
        raise ValueError(f"{name}: signals to train on and to test with have {lengths}; they must be of one length")
    tested = {row.tobytes() for row in test.values}
    recorded = recorded.take(np.array([row.tobytes() not in tested for row in recorded.values], bool))
    train, validation = _cut(recorded, validation_fraction, chance)
    labels = tuple(sorted(set(train.labels)))
    unknown = {*test.labels, *validation.labels} - set(labels)
    if unknown or len(labels) < 2:
        raise ValueError(
            f"{name}: {len(labels)} labels are trained on, {len(unknown)} others only held out; give more recordings"
        )
    parts = [_number(part, labels) for part in (train, validation, test)]
    return SignalData(name=name, labels=labels, train=parts[0], validation=parts[1], test=parts[2])


def _cut(signals: LabelledSignals, fraction: float, chance: random.Random) -> tuple[LabelledSignals, LabelledSignals]:
    """Deal whole recordings out: the larger part, and about this share of each label's."""
    chosen: set[int] = set()
    for label in sorted(set(signals.labels)):
        own = sorted({int(each) for each in signals.recordings[signals.labels == label]})
        chance.shuffle(own)
        chosen.update(own[: max(1, round(fraction * len(own)))] if len(own) > 1 else ())
    is_chosen = np.isin(signals.recordings, list(chosen))
    if not is_chosen.any():
        raise ValueError("every label has one recording only; give two of one at least, in files of their own")
    return signals.take(~is_chosen), signals.take(is_chosen)


def _number(signals: LabelledSignals, labels: tuple[str, ...]) -> Signals:
    numbers = np.searchsorted(np.array(labels), signals.labels)
    return Signals(torch.from_numpy(signals.values), torch.from_numpy(numbers.astype(np.int64)))
