"""Read images from strangers: as pixels, or as files of any size and orientation, corrupt ones included."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from handlers.base import Decoded, Handler
from handlers.device import Device

FORMATS = ("PNG", "JPEG")


class ImageError(ValueError):
    """An image cannot be decoded; the text is for the caller."""


class ImageHandler(Handler):
    """Inputs `image` UINT8 [N, H, W, C] or `encoded` BYTES [N], of which a bad file fails alone.

    Options: `labels` of the classes if there are any, `height`, `width`, `channels` of the images, `max_pixels` of an
    encoded file.
    """

    def __init__(self, manifest: Mapping[str, Any], folder: Path, device: Device) -> None:
        super().__init__(manifest, folder, device)
        self.labels = np.array([label.encode() for label in self.options.get("labels", ())], np.object_)
        self.image_size = {key: self.options[key] for key in ("height", "width", "channels", "max_pixels")}

    def decode(self, inputs: Mapping[str, np.ndarray], parameters: Mapping[str, Any]) -> Decoded:
        if "image" in inputs:
            return Decoded([inputs["image"]])
        files = inputs["encoded"]
        height, width, channels = (self.image_size[key] for key in ("height", "width", "channels"))
        images = np.zeros((len(files), height, width, channels), np.uint8)
        row_errors: list[str | None] = [None] * len(files)
        for row, file in enumerate(files):
            try:
                images[row] = decode_image(file, **self.image_size)
            except ImageError as error:
                row_errors[row] = str(error)
        return Decoded([images], row_errors)


def decode_image(data: bytes, *, height: int, width: int, channels: int, max_pixels: int) -> np.ndarray:
    """Decode a PNG or JPEG file to uint8 [height, width, channels], upright; 1 channel is grey, 3 are RGB.

    Scaled to cover the size, the middle kept. The number of pixels is checked before anything is decompressed.

    Raises:
        ImageError: not such a file, too many pixels, truncated or corrupt.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > max_pixels:
                raise ImageError(_too_large(f"{picture.width}×{picture.height} pixels", max_pixels))
            # A JPEG is decoded at an eighth, a quarter or half of its size where twice the wanted size is left.
            picture.draft(None, (2 * width, 2 * height))
            upright = ImageOps.exif_transpose(_reduce_depth(picture)).convert("L" if channels == 1 else "RGB")
            if upright.size != (width, height):
                upright = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
            return np.asarray(upright).reshape(height, width, channels)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(_too_large("far more pixels than any photograph", max_pixels)) from None
    except Image.UnidentifiedImageError:
        raise ImageError(f"not a {' or '.join(FORMATS)} file ({len(data)} bytes)") from None
    except Exception as error:  # noqa: BLE001 (Pillow raises almost anything for corrupt files)
        raise ImageError(f"the image is corrupt or truncated: {error}") from None


def _reduce_depth(picture: Any) -> Any:
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture
    exif = picture.getexif()
    reduced = Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    reduced.getexif().update(exif)
    return reduced


def _too_large(what: str, max_pixels: int) -> str:
    return f"the image has {what}, at most {max_pixels:,} are decoded; scale it down"
