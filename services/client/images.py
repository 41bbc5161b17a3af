"""Images as people have them, made rows of an input: paths, encoded bytes, PIL images, arrays."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from services.client.inference import read_row_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.Image import Image

    from services.client.wire import Answer

    ImageLike = str | PathLike[str] | bytes | np.ndarray | Image
    Images = ImageLike | Iterable[ImageLike]


def prepare_images(images: Images) -> tuple[str, np.ndarray]:
    """Choose the input and make its rows: `image` for arrays of one size, which go as they are, else `encoded`.

    Raises:
        ValueError: an array is not uint8 or has no image's shape.
        OSError: a file cannot be read.
    """
    listed = _list_images(images)
    if (
        listed
        and all(isinstance(image, np.ndarray) for image in listed)
        and len({image.shape for image in listed}) == 1
    ):
        arrays = [_check_array(image) for image in listed]
        return "image", arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
    rows = np.empty(len(listed), np.object_)
    for index, image in enumerate(listed):
        rows[index] = _encode_image(image)
    return "encoded", rows


def as_picture(array_HWC: np.ndarray) -> Image:
    """Make a PIL image of pixels uint8 [H, W, C]; one channel is grey."""
    from PIL import Image

    return Image.fromarray(array_HWC[:, :, 0] if array_HWC.shape[2] == 1 else array_HWC)


def list_pictures(answers: Iterable[Answer]) -> list[tuple[Image, str, str]]:
    """The image of every row of some answers as a PIL image, the version that made it, and why there is none."""
    return [
        (as_picture(image), answer.version, error)
        for answer in answers
        for image, error in zip(
            answer.arrays["image"], read_row_errors(answer, len(answer.arrays["image"])), strict=True
        )
    ]


def _check_array(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8:
        raise ValueError(
            f"images are uint8 arrays from 0 to 255, got {array.dtype}; convert with array.astype('uint8')"
        )
    if array.ndim not in (2, 3):
        raise ValueError(f"an image has shape [H, W] or [H, W, C], got {list(array.shape)}")
    return array if array.ndim == 3 else array[:, :, None]


def _encode_image(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | PathLike):
        return Path(image).read_bytes()
    if isinstance(image, np.ndarray):
        image = as_picture(_check_array(image))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _list_images(images: Any) -> list[Any]:
    single = isinstance(images, str | bytes | PathLike) or hasattr(images, "save")
    if single or (isinstance(images, np.ndarray) and images.ndim < 4):
        return [images]
    return list(images)
