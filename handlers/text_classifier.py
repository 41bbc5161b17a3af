"""Serve a text classifier: texts in, probabilities and labels out.

Options: `labels`, `max_pieces` of a text that are read, and `vocabulary`, the file of its subwords: a sentencepiece
model, before which `lowercase` folds the text, or the JSON of a WordPiece.
Program: pieces int64 [N, S], padded to the longest text → probabilities float32 [N, labels].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from handlers.beam_search import PAD, pad_rows
from handlers.device import Device
from handlers.ranking import rank_labels
from handlers.subwords import encode_texts, open_subwords


class TextClassifierHandler(Handler):
    """Input `text` BYTES [N]; outputs `probabilities`, `label`; parameter `top_k`."""

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.labels = np.array([label.encode() for label in self.options["labels"]], np.object_)
        self.encode_text, self._name = open_subwords(folder / self.options["vocabulary"], self.options)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        rows, row_errors = encode_texts(inputs["text"], self.encode_text)
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
