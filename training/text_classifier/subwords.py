"""What turns text into piece numbers: subwords learned from the training texts, or those of a pretrained network.

Either leaves one file in a run, and says to the handler how to read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from model_store.wordpiece import WordPiece
from training.sequences.vocabulary import Vocabulary, learn_vocabulary

SENTENCEPIECE, WORDPIECE = "vocabulary.model", "wordpiece.json"


class Subwords(Protocol):
    """Text → piece numbers."""

    file: str

    def __len__(self) -> int: ...

    def encode(self, texts: Sequence[str], max_pieces: int) -> list[list[int]]:
        """Piece numbers of each text, at most so many with all signs."""

    def save(self, run: Path) -> None:
        """Write the file into a run's folder."""

    def describe(self) -> dict[str, Any]:
        """Options of the handler."""


class LearnedSubwords:
    """sentencepiece's, with a sign at the end."""

    file = SENTENCEPIECE

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __len__(self) -> int:
        return len(self._vocabulary)

    def encode(self, texts: Sequence[str], max_pieces: int) -> list[list[int]]:
        return self._vocabulary.encode(texts, max_pieces)

    def save(self, run: Path) -> None:
        self._vocabulary.save(run / self.file)

    def describe(self) -> dict[str, Any]:
        return {"vocabulary": self.file, "lowercase": self._vocabulary.lowercase}


class PretrainedSubwords:
    """WordPiece as a pretrained network came with it."""

    file = WORDPIECE

    def __init__(self, content: dict[str, Any]) -> None:
        """Take `pieces`, `lowercase` and `strip_accents`."""
        self._content = content
        self._pieces = WordPiece(**content)

    def __len__(self) -> int:
        return len(self._pieces)

    def encode(self, texts: Sequence[str], max_pieces: int) -> list[list[int]]:
        return [self._pieces.encode(text, max_pieces) for text in texts]

    def save(self, run: Path) -> None:
        (run / self.file).write_text(json.dumps(self._content, ensure_ascii=False))

    def describe(self) -> dict[str, Any]:
        return {"vocabulary": self.file}


def learn_subwords(texts: Sequence[str], size: int, *, lowercase: bool) -> LearnedSubwords:
    """Learn them; raises as `learn_vocabulary` does."""
    return LearnedSubwords(learn_vocabulary(texts, size, lowercase=lowercase))


def load_subwords(run: Path, *, lowercase: bool) -> Subwords:
    """Read what a run was trained with."""
    if (run / WORDPIECE).is_file():
        return PretrainedSubwords(json.loads((run / WORDPIECE).read_text()))
    return LearnedSubwords(Vocabulary((run / SENTENCEPIECE).read_bytes(), lowercase=lowercase))
