"""Serve what draws captions: texts in, images out.

Options: `latent_size`, `max_pieces` that the program takes of a text, and `vocabulary`, the file of its subwords,
before which `lowercase` folds the text; `labels` is empty.
Program: latents float32 [N, latent_size] and pieces int64 [N, max_pieces], padded → images uint8 [N, H, W, C].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from handlers.base import Decoded
from handlers.beam_search import PAD, pad_rows
from handlers.device import Device
from handlers.drawing import DrawingHandler
from handlers.subwords import encode_texts, open_subwords


class TextToImageHandler(DrawingHandler):
    """Inputs `text` BYTES [N], and beside it `seed` INT64 [N] or `latent` FP32 [N, size]; without either the seed is 0.

    Each row depends on its own text and seed alone: all texts are padded to the same length.
    """

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.max_pieces: int = self.options["max_pieces"]
        self.encode_text, _ = open_subwords(folder / self.options["vocabulary"], self.options)

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        texts = inputs["text"]
        if "seed" not in inputs and "latent" not in inputs:
            inputs = {**inputs, "seed": np.zeros(len(texts), np.int64)}
        latents = super().decode(inputs, parameters).arrays[0]
        rows, row_errors = encode_texts(texts, self.encode_text)
        pieces = pad_rows(rows)
        padding = (0, 0), (0, self.max_pieces - pieces.shape[1])
        return Decoded([latents, np.pad(pieces, padding, constant_values=PAD)], row_errors)
