"""What handlers share that draw images: seeds or latents in, images out.

Options: `labels` (empty for a model without classes), `latent_size`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from handlers.device import Device
from model_store.latents import draw_classes, draw_latents


class DrawingHandler(Handler):
    """Inputs `seed` INT64 [N] or `latent` FP32 [N, size], and for classes `label` INT64 [N] or `label_name` BYTES [N].

    A seed beside a latent draws the class alone. Parameter `truncation` bounds what a seed draws. Each row depends on
    its own seed and label alone. Outputs `image`, and on request `encoded` as PNG.
    """

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.labels: Sequence[str] = self.options["labels"]
        self.numbers = {label.casefold(): number for number, label in enumerate(self.labels)}
        self.latent_size: int = self.options["latent_size"]

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        if "latent" in inputs:
            latents = inputs["latent"]
        else:
            latents = draw_latents(inputs["seed"], self.latent_size, parameters.get("truncation"))
        if not self.labels:
            return Decoded([latents])
        labels, row_errors = self._read_labels(inputs, len(latents))
        return Decoded([latents, labels], row_errors)

    def _read_labels(self, inputs: Mapping[str, np.ndarray], count: int) -> tuple[np.ndarray, list[str | None]]:
        row_errors: list[str | None] = [None] * count
        if "seed" in inputs and not inputs.keys() & {"label", "label_name"}:
            return draw_classes(inputs["seed"], len(self.labels)), row_errors
        labels = np.zeros(count, np.int64)
        for row in range(count):
            try:
                labels[row] = self._read_label(inputs, row)
            except ValueError as error:
                row_errors[row] = str(error)
        return labels, row_errors

    def _read_label(self, inputs: Mapping[str, np.ndarray], row: int) -> int:
        if "label" in inputs:
            number = int(inputs["label"][row])
            if not 0 <= number < len(self.labels):
                known = ", ".join(self.labels)
                raise ValueError(f"label {number} does not exist; there are 0 to {len(self.labels) - 1}: {known}")
            return number
        if "label_name" in inputs:
            name = bytes(inputs["label_name"][row]).decode(errors="replace")
            if name.casefold() not in self.numbers:
                raise ValueError(f"label {name!r} does not exist; there are {', '.join(self.labels)}")
            return self.numbers[name.casefold()]
        raise ValueError("a latent needs a label, a label_name, or a seed that draws one, beside it")

    def encode(
        self, results: Sequence[np.ndarray], parameters: Mapping[str, Any], requested: Sequence[str]
    ) -> dict[str, np.ndarray]:
        (images,) = results
        return show_images(images, requested)


def show_images(images_NHWC: np.ndarray, requested: Sequence[str]) -> dict[str, np.ndarray]:
    """Make the requested of the outputs `image`, uint8 [N, H, W, C], and `encoded`, a PNG file of each."""
    outputs = {}
    if "image" in requested:
        outputs["image"] = images_NHWC
    if "encoded" in requested:
        files = np.empty(len(images_NHWC), np.object_)
        files[:] = [_encode_png(image) for image in images_NHWC]
        outputs["encoded"] = files
    return outputs


def _encode_png(image_HWC: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC)
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
