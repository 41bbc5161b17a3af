"""The vocabulary of a run: learned from its corpus, or that of the GPT-2 whose weights it began with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from model_store.byte_pairs import BytePairs
from training.language_model.data import Corpus
from training.language_model.recipe import Recipe
from training.sequences.vocabulary import END, Vocabulary, learn_exact_vocabulary

LEARNED = "vocabulary.model"
PAIRS, MERGES = "vocab.json", "merges.txt"


class TextVocabulary(Protocol):
    """Text ↔ piece numbers, to the letter."""

    def __len__(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into piece numbers, the end sign included."""

    def decode(self, pieces: Sequence[Sequence[int]]) -> list[str]:
        """Turn piece numbers back into texts; signs such as the end are dropped."""


class PairVocabulary:
    """That of a GPT-2."""

    def __init__(self, folder: Path) -> None:
        """Read it from a folder.

        Raises:
            FileNotFoundError: a file is missing.
        """
        for name in (PAIRS, MERGES):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} has no {name}; a folder of GPT-2 has {PAIRS} and {MERGES}")
        self.pairs = BytePairs((folder / PAIRS).read_text(), (folder / MERGES).read_text())

    def __len__(self) -> int:
        return self.pairs.get_piece_size()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[*self.pairs.encode(text), END] for text in texts]

    def decode(self, pieces: Sequence[Sequence[int]]) -> list[str]:
        return [self.pairs.decode(row) for row in pieces]


def make_vocabulary(recipe: Recipe, corpus: Corpus) -> tuple[TextVocabulary, Mapping[str, bytes]]:
    """Learn a vocabulary from the training part, or take that of the weights; also return the files that hold it."""
    if recipe.weights is not None:
        folder = Path(recipe.weights)
        return PairVocabulary(folder), {name: (folder / name).read_bytes() for name in (PAIRS, MERGES)}
    lines = (line for document in corpus.train for line in document.splitlines() if line.strip())
    learned = learn_exact_vocabulary(lines, recipe.vocabulary_size)
    return learned, {LEARNED: learned.model}


def load_vocabulary(run: Path) -> TextVocabulary:
    """Read the vocabulary of a run."""
    if (run / LEARNED).is_file():
        return Vocabulary((run / LEARNED).read_bytes(), lowercase=False)
    return PairVocabulary(run)


def list_files(run: Path) -> dict[str, Path]:
    """The files of a run that hold its vocabulary, by name."""
    return {name: run / name for name in (LEARNED, PAIRS, MERGES) if (run / name).is_file()}


def make_stream(corpus: Corpus, vocabulary: TextVocabulary) -> torch.Tensor:
    """The training documents one after another, each with its end sign, int64 [T]."""
    return torch.tensor([piece for row in vocabulary.encode(corpus.train) for piece in row])
