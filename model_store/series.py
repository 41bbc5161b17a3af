"""Tables of series, a column each, as CSV or arrays: training and clients read the same ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from model_store.array_files import read_array

_DELIMITERS = (",", ";", "\t")
_MISSING = {"", "na", "nan", "null", "none", "."}
_TIMES = {"", "date", "datetime", "time", "timestamp", "ds", "year", "quarter", "month", "week", "day", "index", "step"}


def read_series(path: Path) -> dict[str, np.ndarray]:
    """Read the columns of a CSV file, or the rows of an .npy file, as float64 arrays by name; see `parse_series`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no series; the message names the file and the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give a .csv file with a column per series, or an .npy file")
    if path.suffix != ".npy":
        try:
            return parse_series(path.read_text(encoding="utf-8-sig").splitlines(), str(path))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no UTF-8 text: {error}; give a .csv file with a column per series") from None
    array = read_array(path)
    if array.ndim not in (1, 2) or array.dtype.kind not in "iuf" or not array.size:
        raise ValueError(
            f"{path} holds {array.dtype} {list(array.shape)}; series are numbers [T], or [N, T] for several"
        )
    return {f"row {row}": values.astype(np.float64) for row, values in enumerate(np.atleast_2d(array))}


def parse_series(lines: Iterable[str], source: str) -> dict[str, np.ndarray]:
    """Read CSV: a header with the names, then a line per step. Cells by comma, semicolon or tab.

    The first column tells times, and is left out, if it is named like one (date, year, …) or begins with what is no
    number. Empty cells are missing values, NaN; those in front of and behind a series are not part of it.

    Raises:
        ValueError: names `source`, the line and the column.
    """
    texts = list(lines)
    delimiter = max(_DELIMITERS, key=texts[0].count) if texts else ","
    table = [
        (number, [cell.strip() for cell in cells])
        for number, cells in enumerate(csv.reader(texts, delimiter=delimiter), start=1)
        if any(cell.strip() for cell in cells)
    ]
    if len(table) < 2:
        raise ValueError(f"{source} holds no series: it needs a header that names the columns, and a line per step")
    (first, names), *rows = table
    if all(_is_number(name) for name in names):
        raise ValueError(f"{source} line {first} holds numbers; the first line must name the columns")
    for number, cells in rows:
        if len(cells) != len(names):
            raise ValueError(f"{source} line {number} has {len(cells)} cells, the header names {len(names)} columns")
    start = int(names[0].lower() in _TIMES or not (_is_missing(rows[0][1][0]) or _is_number(rows[0][1][0])))
    columns = {}
    for column in range(start, len(names)):
        name = names[column]
        if name in columns:
            raise ValueError(f"{source} line {first} names column {name!r} twice")
        values = np.array([_read_number(cells[column], source, number, name) for number, cells in rows])
        known = np.flatnonzero(~np.isnan(values))
        if not len(known):
            raise ValueError(f"{source}: column {name!r} has no values")
        columns[name] = values[known[0] : known[-1] + 1]
    if not columns:
        raise ValueError(f"{source} line {first} names no column besides the times")
    return columns


def fill_gaps(values: np.ndarray) -> np.ndarray:
    """Fill missing values (NaN) of a series [T] by straight lines, at its ends by the nearest value."""
    missing = np.isnan(values)
    if not missing.any() or missing.all():
        return values
    places = np.arange(len(values))
    filled = values.copy()
    filled[missing] = np.interp(places[missing], places[~missing], values[~missing])
    return filled


def _read_number(cell: str, source: str, line: int, column: str) -> float:
    if _is_missing(cell):
        return math.nan
    if not _is_number(cell):
        raise ValueError(f"{source} line {line}: column {column!r} holds {cell!r}, which is no finite number")
    return float(cell)


def _is_missing(cell: str) -> bool:
    return cell.lower() in _MISSING


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
