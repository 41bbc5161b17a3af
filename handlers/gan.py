"""Serve an image generator: seeds or latents in, images out.

Options: see drawing.py; `has_styles` where styles lie between latents and images.
Program: latents float32 [N, latent_size], closeness float32 [N] if it has styles, and labels int64 [N] if there are
classes → images uint8 [N, H, W, C].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from handlers.base import Decoded
from handlers.drawing import DrawingHandler


class GanHandler(DrawingHandler):
    """Draws in one go. Parameter `closeness` of those that have styles: how near each style is to its own, 0 to 1."""

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        decoded = super().decode(inputs, parameters)
        if not self.options.get("has_styles"):
            return decoded
        latents, *labels = decoded.arrays
        closeness = np.full(len(latents), parameters.get("closeness", 1.0), np.float32)
        return Decoded([latents, closeness, *labels], decoded.row_errors)
