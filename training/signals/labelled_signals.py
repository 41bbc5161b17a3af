"""Files of labelled signals in their usual layouts: a folder of arrays for each label, or tables.

Source: Kachuee et al. 2018, arXiv:1805.00794, whose beats of the MIT-BIH arrhythmia database are spread as
mitbih_train.csv and mitbih_test.csv: no header, 187 samples at 125 Hz and the label's number 0 to 4.
Dimensions: N signals, L samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MOST_LABELS = 1000


@dataclass(frozen=True)
class LabelledSignals:
    """Signals float32 [N, L], their labels str [N], and numbers int64 [N] of the recordings that they are from."""

    values: np.ndarray
    labels: np.ndarray
    recordings: np.ndarray

    def take(self, rows: np.ndarray) -> LabelledSignals:
        """Those of the rows bool [N]."""
        return LabelledSignals(self.values[rows], self.labels[rows], self.recordings[rows])


def read_folders(path: Path) -> tuple[LabelledSignals, LabelledSignals | None]:
    """Read a folder for each label, in `train` and perhaps `test`, or here; all of a file are one recording.

    Raises:
        ValueError: it is no such folder, or a file holds no signals of the others' length; names the file.
    """
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; folder:PATH takes one with a folder of .npy files for each label")
    if not (path / "train").is_dir():
        return _read_folder(path), None
    return _read_folder(path / "train"), _read_folder(path / "test") if (path / "test").is_dir() else None


def read_tables(path: Path) -> tuple[LabelledSignals, LabelledSignals | None]:
    """Read one .csv file, or of a folder the one ending in train.csv and perhaps the one ending in test.csv.

    Raises:
        FileNotFoundError: the folder holds no such file.
        ValueError: a file holds no labelled signals, or two files are meant; names the file and the line.
    """
    names = _read_names((path if path.is_dir() else path.parent) / "classes.txt")
    if path.is_file():
        return read_table(path, names), None
    train, test = (sorted(path.glob(f"*{part}.csv")) for part in ("train", "test"))
    if not train:
        raise FileNotFoundError(f"{path} holds no file whose name ends in train.csv")
    if len(train) > 1 or len(test) > 1:
        raise ValueError(f"{path} holds {len(train)} files for training and {len(test)} for testing; leave one of each")
    return read_table(train[0], names), read_table(test[0], names) if test else None


def read_table(path: Path, names: Sequence[str]) -> LabelledSignals:
    """Read a signal in each line, its label's number last; each is a recording of its own. A header is left out.

    `names` are what label numbers from 0 on stand for.

    Raises:
        ValueError: names the file and what is wrong with it.
    """
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline().partition(",")[0].strip()
    try:
        table = np.loadtxt(
            path, np.float32, delimiter=",", skiprows=int(not _is_number(first)), ndmin=2, encoding="utf-8-sig"
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}; a line is a signal's samples and its label's number") from None
    if table.shape[1] < 3:
        raise ValueError(f"{path} has {table.shape[1]} columns; a line is a signal's samples and its label's number")
    numbers = table[:, -1]
    if not np.isfinite(table).all() or (numbers != numbers.round()).any() or numbers.min() < 0:
        raise ValueError(f"{path}: samples must be finite, and the last column a label's number from 0 on")
    if names and numbers.max() >= len(names):
        raise ValueError(f"{path} has label {numbers.max():.0f}; classes.txt names 0 to {len(names) - 1}")
    labels = np.array([names[number] if names else str(number) for number in numbers.astype(int).tolist()])
    return _check(LabelledSignals(table[:, :-1].copy(), labels, np.arange(len(table))), path)


def _read_folder(path: Path) -> LabelledSignals:
    values: list[np.ndarray] = []
    labels: list[str] = []
    recordings: list[int] = []
    for number, file in enumerate(sorted(path.glob("*/*.npy"))):
        array = np.load(file, allow_pickle=False)
        if array.ndim not in (1, 2) or array.dtype.kind not in "iuf" or not array.size:
            raise ValueError(f"{file} holds {array.dtype} {list(array.shape)}; signals are numbers [L], or [N, L]")
        rows = np.atleast_2d(array).astype(np.float32)
        if values and rows.shape[1] != values[0].shape[1]:
            raise ValueError(f"{file} has {rows.shape[1]} samples, the first file {values[0].shape[1]}; cut all alike")
        if not np.isfinite(rows).all():
            raise ValueError(f"{file} holds what is no finite number")
        values.append(rows)
        labels += [file.parent.name] * len(rows)
        recordings += [number] * len(rows)
    if not values:
        raise ValueError(f"{path} holds no .npy files in folders that are named as labels")
    return _check(LabelledSignals(np.concatenate(values), np.array(labels), np.array(recordings)), path)


def _check(signals: LabelledSignals, path: Path) -> LabelledSignals:
    num_labels = len(set(signals.labels))
    if not 2 <= num_labels <= _MOST_LABELS:
        raise ValueError(f"{path} has {num_labels} different labels; 2 to {_MOST_LABELS} are possible")
    return signals


def _read_names(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()] if path.is_file() else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
