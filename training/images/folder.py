"""A folder of pictures, one subfolder for each class, decoded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from host.progress import ProgressBar
from training.images.splits import Split, cut

if TYPE_CHECKING:
    from PIL.Image import Image

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"}


def load_folder(folder: Path, resolution: int) -> tuple[str, tuple[str, ...], Split, Split]:
    """Read `folder/<class>/*.png` (or jpg, …), or `folder/train/<class>/` and `folder/test/<class>/`.

    Pictures become RGB squares of `resolution` pixels: the shorter side is scaled, the middle is kept. Without a
    folder `test` a fixed fifth of the pictures is held out.

    Raises:
        FileNotFoundError: no such folder, or no class with pictures in it.
        ValueError: a picture cannot be decoded, or train and test have different classes.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"folder:{folder} is no folder; expected one subfolder of pictures for each class")
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        labels, train = _read_classes(folder / "train", resolution)
        test_labels, test = _read_classes(folder / "test", resolution)
        if labels != test_labels:
            raise ValueError(f"{folder}: classes of train {labels} and test {test_labels} differ")
        return folder.name, labels, train, test
    labels, everything = _read_classes(folder, resolution)
    return (folder.name, labels, *cut(everything, max(1, len(everything) // 5)))


def _read_classes(folder: Path, resolution: int) -> tuple[tuple[str, ...], Split]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(path, index) for index, kind in enumerate(classes) for path in list_pictures(kind)]
    if not files:
        raise FileNotFoundError(f"{folder} has no subfolders with pictures ({', '.join(sorted(_SUFFIXES))})")
    images = np.empty((len(files), resolution, resolution, 3), np.uint8)
    with ProgressBar(f"decoding {folder.name}", len(files)) as bar:
        for row, (path, _) in enumerate(files):
            images[row] = decode_picture(path, resolution)
            bar.advance()
    targets = torch.tensor([index for _, index in files])
    return tuple(path.name for path in classes), Split(torch.from_numpy(images), targets)


def list_pictures(folder: Path) -> list[Path]:
    """The picture files in a folder and below, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def decode_picture(path: Path, resolution: int) -> np.ndarray:
    """Read a picture upright as uint8 [resolution, resolution, 3], the middle kept.

    Raises:
        ValueError: it cannot be decoded.
    """
    return cut_square(open_picture(path), resolution)


def open_picture(path: Path) -> Image:
    """Read a picture upright, in RGB.

    Raises:
        ValueError: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except OSError as error:
        raise ValueError(f"{path} is no readable picture ({error}); remove or replace it") from error


def cut_square(picture: Image, resolution: int) -> np.ndarray:
    """Scale a picture to cover uint8 [resolution, resolution, 3], and keep the middle."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(picture, (resolution, resolution), Image.Resampling.BILINEAR))
