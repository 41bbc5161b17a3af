"""Corpora for the language model, cut into parts by whole documents."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from training.engine.data_path import find_path
from training.language_model.corpus import read_docstrings, read_manual

MANUAL, DOCSTRINGS, TEXT = "manual", "docstrings", "text"
DATA_SETS = {
    MANUAL: "the reference manual that every Python brings along, half a million characters, embedded",
    DOCSTRINGS: "that, and the docstrings of Python's standard library: two million characters, embedded",
    "text:FILE": "a file of UTF-8 text, here or below --data-root; its last tenth is the test part, the one before "
    "validates",
}
_SPLIT_SEED = 20_260_101
_HELD_OUT = 0.1
_LEAST_REPEATED = 20  # characters: shorter paragraphs (a heading, a signature) say little


@dataclass(frozen=True)
class Corpus:
    """Documents in parts. No paragraph of a held-out part is trained on."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def load_data(data: str, data_root: Path) -> Corpus:
    """Load `manual`, `docstrings` or `text:FILE`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown data, a file that is no UTF-8, or a text too short to be cut.
    """
    if data == MANUAL:
        return split_documents(MANUAL, read_manual())
    if data == DOCSTRINGS:
        return split_documents(DOCSTRINGS, read_manual() | read_docstrings())
    kind, _, name = data.partition(":")
    if kind != TEXT or not name:
        raise ValueError(f"unknown data {data!r}; use {MANUAL}, {DOCSTRINGS} or text:FILE")
    path = find_path(name, data_root)
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 (byte {error.start}); convert it") from None
    return split_text(path.name, text)


def split_documents(name: str, documents: Mapping[str, str]) -> Corpus:
    """Hold out whole documents, drawn by a fixed seed, of a tenth of all characters for each part."""
    drawn = sorted(documents)
    random.Random(_SPLIT_SEED).shuffle(drawn)
    most = _HELD_OUT * sum(map(len, documents.values()))
    parts: list[list[str]] = [[], []]
    for part in parts:
        while sum(map(len, part)) < most:
            part.append(documents[drawn.pop()])
    test, validation = parts
    return _without_repeats(name, [documents[each] for each in drawn], validation, test)


def split_text(name: str, text: str) -> Corpus:
    """Hold out the last tenth for the test and the one before it for validation, at paragraphs.

    Raises:
        ValueError: there are fewer than ten lines.
    """
    text = text.replace("\r\n", "\n").strip()
    seam = "\n\n" if text.count("\n\n") >= 9 else "\n"  # a file without empty lines is cut at its lines
    paragraphs = text.split(seam)
    if len(paragraphs) < 10:
        raise ValueError(f"{name} has {len(paragraphs)} lines; a text to be cut into parts has 10 or more")
    size = max(1, round(_HELD_OUT * len(paragraphs)))
    cuts = (paragraphs[: -2 * size], paragraphs[-2 * size : -size], paragraphs[-size:])
    train, validation, test = ([seam.join(part)] for part in cuts)
    return _without_repeats(name, train, validation, test)


def _without_repeats(name: str, train: list[str], validation: list[str], test: list[str]) -> Corpus:
    """Keep of each paragraph one copy, in the test part first: what is held out never trains."""
    seen: set[str] = set()

    def keep(documents: list[str]) -> tuple[str, ...]:
        kept = []
        for document in documents:
            paragraphs = []
            for paragraph in document.split("\n\n"):
                words = " ".join(paragraph.split())
                if len(words) < _LEAST_REPEATED or words not in seen:
                    paragraphs.append(paragraph)
                seen.add(words)
            kept.append("\n\n".join(paragraphs))
        return tuple(kept)

    held_out, validated = keep(test), keep(validation)
    return Corpus(name, keep(train), validated, held_out)
