"""Translations bit by bit: sentences join and leave while others are being written, and all share each step.

Greedy and sampled pieces are told as they are written, those of beams when all beams agree on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from handlers.base import Outputs
from handlers.beam_search import Beams, Hypothesis, SearchOptions, pad_rows, rank_hypotheses
from handlers.message import Request
from handlers.session import Part

# What the first bytes of a character decode to, at most three, as long as the last one is missing.
_UNFINISHED = "\ufffd"
_MAX_UNFINISHED = 3


class Translator(Protocol):
    """A handler, as far as a session needs it; see seq2seq.py."""

    default_outputs: tuple[str, ...]

    def encode_text(self, data: bytes) -> list[int]: ...

    def read_options(self, parameters: Mapping[str, Any]) -> SearchOptions: ...

    def make_beams(self, options: SearchOptions) -> Beams: ...

    def limit_length(self, num_pieces: int, parameters: Mapping[str, Any]) -> int: ...

    def decode_pieces(self, pieces: np.ndarray) -> str: ...

    def collect(
        self, found: Sequence[Sequence[Hypothesis]], source: np.ndarray, options: SearchOptions
    ) -> tuple[np.ndarray, ...]: ...

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]: ...


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


@dataclass(slots=True)
class _Row:
    source: list[int]
    parameters: Mapping[str, Any]
    requested: Sequence[str]
    options: SearchOptions
    is_told: bool  # before it is done
    text: TextStream
    num_told: int = 0


class TranslationSession:
    """See `handlers.session.Session`. Sentences of equal beams are written together."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self._rows: dict[int, _Row] = {}
        self._joining: list[int] = []
        self._beams: dict[tuple[int, bool], Beams] = {}

    @property
    def is_empty(self) -> bool:
        return not self._rows

    def join(self, key: int, request: Request) -> None:
        parameters, requested = request.parameters, request.requested or self._translator.default_outputs
        if "alignment" in requested:
            parameters = {**parameters, "alignments": True}
        (text,) = request.inputs["text"]
        self._rows[key] = _Row(
            self._translator.encode_text(text),
            parameters,
            requested,
            self._translator.read_options(parameters),
            is_told="translation" in requested and "num_hypotheses" not in parameters,
            text=TextStream(),
        )
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
                beams = self._beams[kind] = self._translator.make_beams(rows[0].options)
            limits = [self._translator.limit_length(len(row.source), row.parameters) for row in rows]
            beams.join(keys, pad_rows([row.source for row in rows]), np.array(limits), [row.options for row in rows])
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
        told = row.text.extend(self._translator.decode_pieces(pieces))
        if not told:
            return []
        row.num_told = len(pieces)
        return [Part(key, Outputs({"translation": _one_text(told)}), is_last=False, num_tokens=num_new)]

    def _finish(self, key: int, found: list[Hypothesis]) -> Part:
        row = self._rows.pop(key)
        best = rank_hypotheses(found, row.options)
        results = self._translator.collect([best], np.array([row.source]), row.options)
        arrays = self._translator.encode(results, row.parameters, row.requested)
        if row.is_told:
            arrays["translation"] = _one_text(row.text.finish(arrays["translation"][0].decode()))
        return Part(key, Outputs(arrays), is_last=True, num_tokens=len(best[0].pieces) - row.num_told)


def _one_text(text: str) -> np.ndarray:
    array = np.empty(1, np.object_)
    array[0] = text.encode()
    return array
