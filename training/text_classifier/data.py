"""Labelled texts in three parts: composed opinions, or files in their usual layouts."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.engine.data_path import find_path
from training.text_classifier.labelled_text import LabelledText, read_folder, read_names, read_table
from training.text_classifier.opinions import LABELS, Opinion, Part, compose_opinions

OPINIONS, FOLDER, TABLE = "opinions", "folder", "table"
DATA_SETS = {
    OPINIONS: "sentences composed by a grammar, in which negation and who speaks decide; held out by words and frames",
    "folder:PATH": "a folder of .txt files for each label, in train/ and test/ (aclImdb) or without; "
    "here or below --data-root",
    "table:PATH": "train.csv and test.csv (AG News) in a folder, or one .csv or .tsv file; columns label and text, or "
    "without a header the label first; here or below --data-root",
}
NUM_OPINIONS = {"train": 48_000, "validation": 1000, "test": 3000}
_SPLIT_SEED = 20_240_517
_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Texts:
    """Texts, their labels int64 [N], and where it is known the form of each."""

    texts: tuple[str, ...]
    labels: Tensor
    forms: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True)
class TextData:
    """A data set in three parts; no training step and no choice ever looks at `test`."""

    name: str
    labels: tuple[str, ...]
    train: Texts
    validation: Texts
    test: Texts

    def describe_parts(self) -> str:
        """Say where the texts went."""
        parts = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test texts"
        return f"{self.name}: {parts} of {len(self.labels)} labels"


def load_data(source: str, root: Path, *, validation_fraction: float) -> TextData:
    """Load `opinions`, `folder:PATH` or `table:PATH`.

    Where no test part is given a fifth is cut off, and always a validation part; both by a fixed seed. A text that
    occurs in the test part never trains, and each text trains once.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: unknown data, or files that hold no labelled text.
    """
    if source == OPINIONS:
        return _compose(NUM_OPINIONS)
    kind, _, place = source.partition(":")
    if kind not in (FOLDER, TABLE) or not place:
        raise ValueError(f"unknown data {source!r}; use {OPINIONS}, {FOLDER}:PATH or {TABLE}:PATH")
    path = find_path(place, root)
    train, test = _read_folders(path) if kind == FOLDER else _read_tables(path)
    return _divide(path.stem, train, test, validation_fraction)


def _compose(counts: dict[str, int]) -> TextData:
    def compose(part: Part) -> Texts:
        composed: Sequence[Opinion] = compose_opinions(counts[part], part, _SPLIT_SEED)
        return Texts(
            tuple(opinion.text for opinion in composed),
            torch.tensor([opinion.label for opinion in composed]),
            tuple(opinion.form for opinion in composed),
        )

    return TextData(
        name=OPINIONS,
        labels=LABELS,
        train=compose("train"),
        validation=compose("validation"),
        test=compose("test"),
    )


def _read_folders(path: Path) -> tuple[list[LabelledText], list[LabelledText]]:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; {FOLDER}:PATH takes one with a folder for each label")
    if (path / "train").is_dir():
        test = path / "test"
        return read_folder(path / "train"), read_folder(test) if test.is_dir() else []
    return read_folder(path), []


def _read_tables(path: Path) -> tuple[list[LabelledText], list[LabelledText]]:
    if path.is_file():
        return read_table(path), []
    names = read_names(path / "classes.txt")
    train, test = (_read_part(path, part, names) for part in ("train", "test"))
    if train is None:
        raise FileNotFoundError(f"{path} holds no train.csv or train.tsv")
    return train, test or []


def _read_part(path: Path, part: str, names: Sequence[str]) -> list[LabelledText] | None:
    files = (path / f"{part}{suffix}" for suffix in (".csv", ".tsv"))
    return next((read_table(file, names) for file in files if file.is_file()), None)


def _divide(name: str, train: list[LabelledText], test: list[LabelledText], validation_fraction: float) -> TextData:
    chance = random.Random(_SPLIT_SEED)
    different = list({row.text: row for row in train}.values())
    chance.shuffle(different)
    if not test:
        count = max(1, round(_TEST_FRACTION * len(different)))
        test, different = different[:count], different[count:]
    tested = {row.text for row in test}
    kept = [row for row in different if row.text not in tested]
    if len(kept) < len(train) - len(test):
        print(f"{name}: {len(train) - len(kept)} training texts are repeated or held out", file=sys.stderr)
    count = max(1, round(validation_fraction * len(kept)))
    labels = tuple(sorted({row.label for row in kept[count:]}))
    unknown = {row.label for row in (*test, *kept[:count])} - set(labels)
    if unknown or len(labels) < 2:
        raise ValueError(
            f"{name}: {len(labels)} labels are trained on, {len(unknown)} others are only held out; give more texts"
        )
    return TextData(
        name=name,
        labels=labels,
        train=_number(kept[count:], labels),
        validation=_number(kept[:count], labels),
        test=_number(test, labels),
    )


def _number(rows: Sequence[LabelledText], labels: Sequence[str]) -> Texts:
    numbers = {label: number for number, label in enumerate(labels)}
    return Texts(tuple(row.text for row in rows), torch.tensor([numbers[row.label] for row in rows]))
