"""Grids of images, as arrays and as PNG files.

Dimensions: N images, H height, W width, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_GAP_PX = 2
_GAP_LEVEL = 128
_MARGIN_PX, _TITLE_PX = 16, 24


def arrange_grid(images_NHWC: np.ndarray, num_columns: int) -> np.ndarray:
    """Lay uint8 images [N, H, W, C] out in rows, with gaps; returns uint8 [H', W', C]."""
    count, height, width, channels = images_NHWC.shape
    num_rows = math.ceil(count / num_columns)
    size = (num_rows * (height + _GAP_PX) + _GAP_PX, num_columns * (width + _GAP_PX) + _GAP_PX, channels)
    grid = np.full(size, _GAP_LEVEL, np.uint8)
    for index, image in enumerate(images_NHWC):
        row, column = divmod(index, num_columns)
        top, left = _GAP_PX + row * (height + _GAP_PX), _GAP_PX + column * (width + _GAP_PX)
        grid[top : top + height, left : left + width] = image
    return grid


def place_side_by_side(paths: Sequence[Path], out: Path) -> None:
    """Join picture files from left to right, the name of each one's folder above it."""
    from PIL import Image, ImageDraw

    pictures = [Image.open(path).convert("RGB") for path in paths]
    width = sum(picture.width + _MARGIN_PX for picture in pictures)
    joined = Image.new("RGB", (width, max(picture.height for picture in pictures) + _TITLE_PX), "white")
    left = 0
    for path, picture in zip(paths, pictures, strict=True):
        ImageDraw.Draw(joined).text((left, 0), path.parent.name, fill="black", font_size=_TITLE_PX * 2 // 3)
        joined.paste(picture, (left, _TITLE_PX))
        left += picture.width + _MARGIN_PX
    joined.save(out)


def save_picture(picture: np.ndarray, path: Path, *, enlarge: int = 1) -> None:
    """Write uint8 [H, W, C] as a file, each pixel `enlarge` pixels wide."""
    from PIL import Image

    enlarged = picture.repeat(enlarge, 0).repeat(enlarge, 1)
    Image.fromarray(enlarged[:, :, 0] if enlarged.shape[2] == 1 else enlarged).save(path)
