"""Serve an image classifier: pixels or image files in, probabilities and labels out.

Options: `labels`, `height`, `width`, `channels` of the images that the program takes, `max_pixels` of an encoded file.
Program: uint8 [N, H, W, C] → probabilities float32 [N, classes].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from handlers.device import Device
from handlers.images import read_images
from handlers.ranking import rank_labels


class ClassifierHandler(Handler):
    """Inputs `image` UINT8 [N, H, W, C] or `encoded` BYTES [N]; outputs `probabilities`, `label`; parameter `top_k`."""

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.labels = np.array([label.encode() for label in self.options["labels"]], np.object_)
        self.image_size = {key: self.options[key] for key in ("height", "width", "channels", "max_pixels")}

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        return read_images(inputs, **self.image_size)

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (probabilities,) = results
        return rank_labels(probabilities, self.labels, parameters.get("top_k"), requested)
