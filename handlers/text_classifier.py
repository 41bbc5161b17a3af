"""Serve a text classifier: texts in, probabilities and labels out.

Options: `labels`, `max_pieces` of a text that are read, and `vocabulary`, the file of its subwords: a sentencepiece
model, before which `lowercase` folds the text, or the JSON of a WordPiece.
Program: pieces int64 [N, S], padded to the longest text → probabilities float32 [N, labels].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from handlers.base import Decoded, Handler, RowError
from handlers.beam_search import END, PAD, pad_rows
from handlers.device import Device
from handlers.ranking import rank_labels
from handlers.text import decode_text
from model_store.wordpiece import INSIDE, WordPiece


class TextClassifierHandler(Handler):
    """Input `text` BYTES [N]; outputs `probabilities`, `label`; parameter `top_k`."""

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.labels = np.array([label.encode() for label in self.options["labels"]], np.object_)
        self.encode_text, self._name = _open_subwords(folder / self.options["vocabulary"], self.options)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        rows: list[list[int]] = []
        row_errors: list[str | None] = []
        for data in inputs["text"]:
            try:
                rows.append(self.encode_text(decode_text(data)))
                row_errors.append(None)
            except RowError as error:
                rows.append([END])
                row_errors.append(str(error))
        return Decoded([pad_rows(rows)], row_errors)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (probabilities,) = results
        return rank_labels(probabilities, self.labels, parameters.get("top_k"), requested)

    def name_pieces(self, numbers: np.ndarray) -> np.ndarray:
        """Write piece numbers [N, S] as UTF-8, a space in front of what begins a word; padding is empty."""
        names = np.empty(numbers.shape, np.object_)
        for place, number in np.ndenumerate(numbers):
            names[place] = b"" if number == PAD else self._name(int(number)).encode()
        return names


def _open_subwords(file: Path, options: Mapping[str, Any]) -> tuple[Callable[[str], list[int]], Callable[[int], str]]:
    """What turns a text into the pieces that were trained with, and what names one of these by its number."""
    max_pieces: int = options["max_pieces"]
    if file.suffix == ".json":
        content = json.loads(file.read_text())
        pieces = WordPiece(**content)
        names: list[str] = content["pieces"]
        return lambda text: pieces.encode(text, max_pieces), lambda number: _name_word_piece(names[number])
    vocabulary = sentencepiece.SentencePieceProcessor(model_proto=file.read_bytes())
    lowercase: bool = options["lowercase"]

    def encode(text: str) -> list[int]:
        return [*vocabulary.encode(text.lower() if lowercase else text)[: max_pieces - 1], END]

    return encode, partial(_name_piece, vocabulary)


def _name_piece(vocabulary: sentencepiece.SentencePieceProcessor, number: int) -> str:
    piece: str = vocabulary.id_to_piece(number)
    return chr(int(piece[1:-1], 16)) if vocabulary.is_byte(number) else piece.replace("▁", " ")


def _name_word_piece(piece: str) -> str:
    return piece.removeprefix(INSIDE) if piece.startswith(INSIDE) else f" {piece}"
