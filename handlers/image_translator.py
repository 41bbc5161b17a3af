"""Serve an image translator: pixels or image files in, images in the other style out.

Options: `height`, `width`, `channels` of the images that the program takes, `max_pixels` of an encoded file; `labels`
is empty.
Program: uint8 [N, H, W, C] → uint8 [N, H, W, D].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from handlers.drawing import show_images
from handlers.images import ImageHandler


class ImageTranslatorHandler(ImageHandler):
    """Inputs `image` UINT8 [N, H, W, C] or `encoded` BYTES [N]; outputs `image`, and on request `encoded` as PNG."""

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (images,) = results
        return show_images(images, requested)
