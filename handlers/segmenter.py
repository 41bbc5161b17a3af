"""Serve a segmenter: pixels or image files in, the class of every pixel out, and of the whole image if that is learned.

Options: `labels` of the classes, `height`, `width`, `channels` of the images, `max_pixels` of an encoded file.
Program: uint8 [N, H, W, C] → mask uint8 [N, H, W], perhaps probabilities float32 [N, K].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.images import ImageHandler
from handlers.ranking import rank_labels


class SegmenterHandler(ImageHandler):
    """Inputs `image` UINT8 [N, H, W, C] or `encoded` BYTES [N]; outputs `mask`, and what it covers: `area` and `class`.

    Those that learned it say the class of the whole image as a classifier does: `probabilities`, `label`, `top_k`.
    """

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        mask, *ranked = results
        found: dict[str, np.ndarray] = {}
        if ranked:
            found |= rank_labels(ranked[0], self.labels, parameters.get("top_k"), requested)
        if "mask" in requested:
            found["mask"] = mask
        if "area" in requested:
            found["area"] = measure_areas(mask, len(self.labels))
        if "class" in requested:
            found["class"] = np.tile(self.labels, (len(mask), 1))
        return found


def measure_areas(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Share of each image that each class covers, float32 [N, K], of masks uint8 [N, H, W]."""
    pixels = mask.reshape(len(mask), -1)
    return np.stack([(pixels == number).mean(1) for number in range(num_classes)], 1).astype(np.float32)
