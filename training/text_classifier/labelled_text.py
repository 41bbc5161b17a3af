"""Files of labelled text in their usual layouts: a folder for each label, or tables.

Source: Maas et al. 2011 (aclImdb: train/pos/*.txt); Zhang et al. 2015, arXiv:1509.01626 (AG News and its siblings:
train.csv without a header, the label's number and then title and text; classes.txt names the labels).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_UNLABELLED = "unsup"  # aclImdb's folder of reviews whose label nobody knows
_LABEL_COLUMNS = ("label", "class", "class index", "sentiment", "category")
_TEXT_COLUMNS = ("text", "sentence", "title", "description", "review", "content")
_MOST_LABELS = 1000


@dataclass(frozen=True)
class LabelledText:
    """One text and its label."""

    text: str
    label: str


@dataclass(frozen=True)
class _Columns:
    label: int
    text: tuple[int, ...]
    are_named: bool


def read_folder(path: Path) -> list[LabelledText]:
    """Read a folder that holds a folder of .txt files for each label.

    Raises:
        ValueError: there are not two labels, or a file is no UTF-8.
    """
    labels = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name != _UNLABELLED]
    rows = [LabelledText(_read(file), folder.name) for folder in labels for file in sorted(folder.glob("*.txt"))]
    if len({row.label for row in rows}) < 2:
        raise ValueError(
            f"{path} holds .txt files of {len({row.label for row in rows})} labels; two or more are needed"
        )
    return rows


def read_table(path: Path, names: Sequence[str] = ()) -> list[LabelledText]:
    """Read a .csv or .tsv file: with a header that names its columns, or the label first and then the text.

    `names` are what label numbers from 1 on stand for. Several columns of text are joined.

    Raises:
        ValueError: a line has no label or text, a label's number has no name, or the file is no UTF-8; names the line.
    """
    reader = csv.reader(_read(path).splitlines(keepends=True), delimiter="\t" if path.suffix == ".tsv" else ",")
    columns: _Columns | None = None
    rows: list[LabelledText] = []
    for cells in filter(None, reader):
        if columns is None:
            columns = _find_columns(cells, path)
            if columns.are_named:
                continue
        place = f"{path} line {reader.line_num}"
        if len(cells) <= max(columns.label, *columns.text):
            raise ValueError(f"{place} has {len(cells)} cells, the first line has more; quote text that holds commas")
        label = cells[columns.label].strip()
        text = " ".join(cells[column] for column in columns.text).replace("\\n", " ").strip()
        if not text or not label:
            raise ValueError(f"{place} has an empty {'text' if label else 'label'}")
        rows.append(LabelledText(text, _name(label, names, place)))
    num_labels = len({row.label for row in rows})
    if not 2 <= num_labels <= _MOST_LABELS:
        raise ValueError(
            f"{path} has {num_labels} different labels; 2 to {_MOST_LABELS} are possible. Without a header the first "
            "column is the label"
        )
    return rows


def _find_columns(cells: Sequence[str], path: Path) -> _Columns:
    """Read the first line: a header if it names a column of labels, else a label and what follows is text."""
    header = [cell.strip().lower() for cell in cells]
    label = next((place for place, name in enumerate(header) if name in _LABEL_COLUMNS), None)
    if label is None and len(cells) < 2:
        raise ValueError(f"{path} has one column; a label and a text are needed")
    if label is None:
        return _Columns(0, tuple(range(1, len(cells))), are_named=False)
    text = tuple(place for place, name in enumerate(header) if name in _TEXT_COLUMNS)
    if not text:
        raise ValueError(f"{path} has no column of text; name one {' or '.join(_TEXT_COLUMNS)}")
    return _Columns(label, text, are_named=True)


def read_names(path: Path) -> list[str]:
    """Read the names of labels, one in a line; none if the file is not there."""
    return [line.strip() for line in _read(path).splitlines() if line.strip()] if path.is_file() else []


def _name(label: str, names: Sequence[str], place: str) -> str:
    if not names or not label.isdigit():
        return label
    if not 1 <= int(label) <= len(names):
        raise ValueError(f"{place} has label {label}; classes.txt names 1 to {len(names)}")
    return names[int(label) - 1]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 (byte {error.start}); convert it first") from None
