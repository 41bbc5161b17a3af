"""Texts bit by bit: they join and leave while others are being written, and all share each step.

Greedy and sampled pieces are told as they are written, those of beams when all beams agree on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from handlers.base import Outputs
from handlers.beam_search import BEGIN, Beams, Hypothesis, SearchOptions, pad_rows, rank_hypotheses
from handlers.message import Request
from handlers.session import Part

# What the first bytes of a character decode to, at most three, as long as the last one is missing.
_UNFINISHED = "\ufffd"
_MAX_UNFINISHED = 3


class TextStream:
    """A text that grows piece by piece, as bits that give exactly the whole when they are joined."""

    def __init__(self) -> None:
        self._num_told = 0

    def extend(self, text: str) -> str:
        """Take the text so far; returns what may be told of it: not a character of which bytes are still missing."""
        num_unfinished = min(len(text) - len(text.rstrip(_UNFINISHED)), _MAX_UNFINISHED)
        return self._tell(text[: len(text) - num_unfinished])

    def finish(self, text: str) -> str:
        """Take the whole text; returns the rest of it."""
        return self._tell(text)

    def _tell(self, text: str) -> str:
        told, self._num_told = text[self._num_told :], max(self._num_told, len(text))
        return told


@dataclass(slots=True, kw_only=True)
class TextRow:
    """A text that is to be written: pieces that are read first, the one that stands before the first own piece, and
    the most own pieces. `is_told`: bit by bit, before it is done.
    """

    source: list[int]
    limit: int
    options: SearchOptions
    parameters: Mapping[str, Any]
    requested: Sequence[str]
    is_told: bool
    begin: int = BEGIN
    text: TextStream = field(default_factory=TextStream)
    num_told: int = 0


class Writer(Protocol):
    """A handler, as far as a session needs it; see seq2seq.py and language_model.py. `text_output` is what is told."""

    text_output: str

    def open_text(self, request: Request) -> TextRow:
        """Read a request of one row.

        Raises:
            RowError: it cannot be answered.
        """

    def make_beams(self, options: SearchOptions) -> Beams:
        """Make beams that texts with such options may join."""

    def decode_pieces(self, pieces: np.ndarray) -> str:
        """Turn piece numbers into text."""

    def close_text(self, row: TextRow, found: Sequence[Hypothesis]) -> dict[str, np.ndarray]:
        """Make the outputs of one row of what was found, best first."""


class TextSession:
    """See `handlers.session.Session`. Texts of equal beams are written together."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._rows: dict[int, TextRow] = {}
        self._joining: list[int] = []
        self._beams: dict[tuple[int, bool], Beams] = {}

    @property
    def is_empty(self) -> bool:
        return not self._rows

    def join(self, key: int, request: Request) -> None:
        self._rows[key] = self._writer.open_text(request)
        self._joining.append(key)

    def leave(self, keys: Iterable[int]) -> None:
        left = {key for key in keys if self._rows.pop(key, None) is not None}
        if left:
            self._joining = [key for key in self._joining if key not in left]
            for beams in self._beams.values():
                beams.drop(left)

    def read(self) -> bool:
        """Encode the rows that came since this was last done, and join those that are written alike."""
        joining, self._joining = self._joining, []
        alike: dict[tuple[int, bool], list[int]] = {}
        for key in joining:
            options = self._rows[key].options
            alike.setdefault((options.beam_size, options.alignments), []).append(key)
        for kind, keys in alike.items():
            rows = [self._rows[key] for key in keys]
            beams = self._beams.get(kind)
            if beams is None:
                beams = self._beams[kind] = self._writer.make_beams(rows[0].options)
            limits = np.array([row.limit for row in rows])
            begins = np.array([row.begin for row in rows])
            beams.join(keys, pad_rows([row.source for row in rows]), limits, [row.options for row in rows], begins)
        return bool(joining)

    def advance(self) -> list[Part]:
        self.read()
        parts = []
        for beams in self._beams.values():
            if not beams.keys.size:
                continue
            ended = beams.advance()
            for index in np.flatnonzero(~beams.ended):
                parts += self._tell(int(beams.keys[index]), beams, int(index))
            parts += [self._finish(key, beams.found.pop(key)) for key in ended]
        return parts

    def _tell(self, key: int, beams: Beams, index: int) -> list[Part]:
        row = self._rows[key]
        if not row.is_told:
            return []
        pieces = beams.settled(index)
        num_new = len(pieces) - row.num_told
        if not num_new:
            return []
        told = row.text.extend(self._writer.decode_pieces(pieces))
        if not told:
            return []
        row.num_told = len(pieces)
        return [Part(key, Outputs({self._writer.text_output: _one_text(told)}), is_last=False, num_tokens=num_new)]

    def _finish(self, key: int, found: list[Hypothesis]) -> Part:
        row = self._rows.pop(key)
        best = rank_hypotheses(found, row.options)
        arrays = self._writer.close_text(row, best)
        if row.is_told:
            (whole,) = arrays[self._writer.text_output]
            arrays[self._writer.text_output] = _one_text(row.text.finish(whole.decode()))
        return Part(key, Outputs(arrays), is_last=True, num_tokens=len(best[0].pieces) - row.num_told)


def _one_text(text: str) -> np.ndarray:
    array = np.empty(1, np.object_)
    array[0] = text.encode()
    return array
