"""Files of documents and their summaries: JSON lines, or tables with tabs.

Source: the exports of XSum (Narayan et al. 2018: document, summary) and of CNN/DailyMail (See et al. 2017: article,
highlights).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.seq2seq.parallel_text import Pair, decode_lines

SUFFIXES = (".jsonl", ".json", ".tsv")
_DOCUMENTS, _SUMMARIES = ("document", "article", "text"), ("summary", "highlights")


def read_summaries(path: Path) -> list[Pair]:
    """Read pairs of a document and its summary; white space becomes single spaces.

    Raises:
        ValueError: a line has no document or no summary, or is no JSON or UTF-8; names file and line.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is no {' or '.join(SUFFIXES)}; convert it to JSON lines with document and summary")
    rows = _read_table(path) if path.suffix == ".tsv" else _read_json_lines(path)
    return [(_find(row, _DOCUMENTS, place), _find(row, _SUMMARIES, place)) for place, row in rows]


def _read_json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(decode_lines(path), start=1):
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{place}: it is no JSON ({error.msg} at column {error.colno}); each line is one"
            ) from None
        if not isinstance(row, dict):
            raise ValueError(f"{place}: it is a {type(row).__name__}; each line is an object with document and summary")
        yield place, row


def _read_table(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader((f"{line}\n" for line in decode_lines(path)), delimiter="\t")
    for row in reader:
        yield f"{path}, line {reader.line_num}", row


def _find(row: Mapping[str, Any], names: tuple[str, ...], place: str) -> str:
    for name in names:
        if isinstance(row.get(name), str) and row[name].strip():
            return " ".join(row[name].split())
    raise ValueError(
        f"{place}: it has no text under {' or '.join(names)}; it has {', '.join(map(str, row)) or 'nothing'}"
    )
