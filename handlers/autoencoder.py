"""Serve an autoencoder: pixels or image files in; what their codes tell of them, the codes, and how unusual they are.

Options: `threshold` of the deviation in grey levels, `height`, `width`, `channels` of the images, `max_pixels` of an
encoded file.
Program: uint8 [N, H, W, C] → the same, code float32 [N, Z], deviation float32 [N].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.images import ImageHandler


class AutoencoderHandler(ImageHandler):
    """Inputs `image` UINT8 [N, H, W, C] or `encoded` BYTES [N].

    Outputs `reconstruction`, `code`, `deviation` and `unusual`. Parameter `threshold`: the deviation above which an
    image is unusual.
    """

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        reconstruction, code, deviation = results
        threshold = parameters.get("threshold", self.options["threshold"])
        found = {
            "reconstruction": reconstruction,
            "code": code,
            "deviation": deviation,
            "unusual": deviation > threshold,
        }
        return {name: found[name] for name in requested}
