"""Serve an image classifier: pixels or image files in, probabilities and labels out.

Options: `labels`, `height`, `width`, `channels` of the images that the program takes, `max_pixels` of an encoded file.
Program: uint8 [N, H, W, C] → probabilities float32 [N, classes].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.images import ImageHandler
from handlers.ranking import rank_labels


class ClassifierHandler(ImageHandler):
    """Inputs `image` UINT8 [N, H, W, C] or `encoded` BYTES [N]; outputs `probabilities`, `label`; parameter `top_k`."""

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (probabilities,) = results
        return rank_labels(probabilities, self.labels, parameters.get("top_k"), requested)
