"""The subwords of handlers that read texts: a sentencepiece model, or the JSON of a WordPiece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import sentencepiece

from handlers.base import RowError
from handlers.beam_search import END
from handlers.text import decode_text
from model_store.wordpiece import INSIDE, WordPiece


def open_subwords(file: Path, options: Mapping[str, Any]) -> tuple[Callable[[str], list[int]], Callable[[int], str]]:
    """What turns a text into the pieces that were trained with, and what names one of these by its number.

    `options` hold `max_pieces` of a text that are read, and for a sentencepiece model `lowercase`.
    """
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


def encode_texts(
    texts: Iterable[bytes], encode: Callable[[str], list[int]]
) -> tuple[list[list[int]], list[str | None]]:
    """Pieces of each text, and why there are none but the end sign, where a text cannot be read."""
    rows: list[list[int]] = []
    row_errors: list[str | None] = []
    for data in texts:
        try:
            rows.append(encode(decode_text(data)))
            row_errors.append(None)
        except RowError as error:
            rows.append([END])
            row_errors.append(str(error))
    return rows, row_errors


def _name_piece(vocabulary: sentencepiece.SentencePieceProcessor, number: int) -> str:
    piece: str = vocabulary.id_to_piece(number)
    return chr(int(piece[1:-1], 16)) if vocabulary.is_byte(number) else piece.replace("▁", " ")


def _name_word_piece(piece: str) -> str:
    return piece.removeprefix(INSIDE) if piece.startswith(INSIDE) else f" {piece}"
