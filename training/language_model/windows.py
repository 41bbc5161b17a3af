"""Windows of held-out documents: the first half is what a model has read, the second what it is measured on.

Dimensions: N windows, C pieces of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.language_model.vocabularies import TextVocabulary


@dataclass(frozen=True)
class Windows:
    """Pieces int64 [N, C], and the texts of both halves."""

    pieces: Tensor
    read: tuple[str, ...]
    measured: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def num_characters(self) -> np.ndarray:
        """Characters of the measured halves [N]."""
        return np.array([len(text) for text in self.measured])


def cut_windows(documents: Sequence[str], vocabulary: TextVocabulary, context: int, most: int) -> Windows:
    """Cut each document so that measured halves follow one another; of too many windows, evenly spaced ones are kept.

    Raises:
        ValueError: no document is as long as a window.
    """
    half = context // 2
    rows = [
        document[start : start + context]
        for document in (row[:-1] for row in vocabulary.encode(documents))
        for start in range(0, len(document) - context + 1, half)
    ]
    if not rows:
        raise ValueError(f"no held-out document has {context} pieces; lower context or give more text")
    kept = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    rows = [rows[place] for place in kept]
    return Windows(
        torch.tensor(rows),
        tuple(vocabulary.decode([row[:half] for row in rows])),
        tuple(vocabulary.decode([row[half:] for row in rows])),
    )
