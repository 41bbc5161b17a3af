"""Decode image files from strangers: any size, any orientation, corrupt ones included."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

FORMATS = ("PNG", "JPEG")


class ImageError(ValueError):
    """An image cannot be decoded; the text is for the caller."""


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
