"""Parallel text files: two files of UTF-8 text whose lines translate each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

Pair = tuple[str, str]


def read_pairs(source: Path, target: Path) -> list[Pair]:
    """Read two aligned files into pairs of lines.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a line is empty or no UTF-8, or the files differ in length; names file and line.
    """
    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        longer, shorter = (source, target) if len(sources) > len(targets) else (target, source)
        first = min(len(sources), len(targets)) + 1
        raise ValueError(
            f"{source} has {len(sources)} lines and {target} has {len(targets)}: they must be aligned line by line; "
            f"line {first} of {longer.name} has no partner in {shorter.name}"
        )
    return list(zip(sources, targets, strict=True))


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, none of them empty.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: a line is empty or no UTF-8, or there is none; names file and line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: parallel text needs one file for each language")
    lines = []
    for number, line in enumerate(decode_lines(path), start=1):
        if not line.strip():
            raise ValueError(f"{path}, line {number}: it is empty; remove this line from both files")
        lines.append(" ".join(line.split()))
    return lines


def decode_lines(path: Path) -> Iterator[str]:
    """Read the lines of a text file one after another, as they are.

    Raises:
        ValueError: a line is no UTF-8; names file and line.
    """
    for number, raw in enumerate(path.read_bytes().removesuffix(b"\n").split(b"\n"), start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: byte {raw[error.start]:#04x} at column {error.start + 1} is no UTF-8; "
                f"convert the file, e.g. `iconv -f latin1 -t utf-8 {path.name}`"
            ) from None
        if "\0" in line:
            raise ValueError(f"{path}, line {number}: it holds a zero byte; is the file UTF-16? convert it to UTF-8")
        yield line
