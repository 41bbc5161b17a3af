"""A folder of pictures and their masks, decoded once.

    folder/images/a.jpg, folder/masks/a.png, …; or the same below folder/train and folder/test

A mask holds a class number at each pixel, 0 for the background, as grey levels or as palette indices; 255 is not
counted, as in Pascal VOC. Masks of nothing but 0 and 255 are black and white: 255 is class 1 then. Names of the
classes may stand in folder/classes.txt, one a line, the background first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from host.progress import ProgressBar
from training.images.folder import decode_picture, list_pictures
from training.segmenter.scenes import VOID, Scenes

NAMES = "classes.txt"


def load_masked_folder(folder: Path, resolution: int) -> tuple[tuple[str, ...], Scenes, Scenes | None]:
    """Read a folder's class names, its scenes, and those of its test part if it has one.

    Raises:
        FileNotFoundError: no such folder, no pictures in it, or a picture without a mask.
        ValueError: a picture or mask cannot be decoded, their sizes differ, or there are more classes than names.
    """
    parts = [folder / "train", folder / "test"]
    if not all(part.is_dir() for part in parts):
        parts = [folder]
    scenes = [_read_scenes(part, resolution) for part in parts]
    if all(set(torch.unique(each.masks).tolist()) <= {0, VOID} for each in scenes):
        scenes = [Scenes(each.images, (each.masks == VOID).to(torch.uint8)) for each in scenes]
    numbers = {number for each in scenes for number in torch.unique(each.masks).tolist()} - {VOID}
    names = _read_names(folder / NAMES, max(numbers, default=0) + 1)
    return names, scenes[0], scenes[1] if len(scenes) > 1 else None


def _read_scenes(folder: Path, resolution: int) -> Scenes:
    if not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise FileNotFoundError(f"{folder} has no subfolders images and masks with files of the same names")
    pictures, masks = _list_by_name(folder / "images"), _list_by_name(folder / "masks")
    if not pictures:
        raise FileNotFoundError(f"{folder / 'images'} has no pictures")
    if missing := sorted(str(pictures[name]) for name in pictures.keys() - masks.keys()):
        raise FileNotFoundError(f"{len(missing)} pictures have no mask of the same name, among them {missing[0]}")
    decoded_images, decoded_masks = [], []
    with ProgressBar(f"decoding {folder.name}", len(pictures)) as bar:
        for name, picture in pictures.items():
            decoded_images.append(decode_picture(picture, resolution))
            decoded_masks.append(decode_mask(masks[name], picture, resolution))
            bar.advance()
    return Scenes(torch.from_numpy(np.stack(decoded_images)), torch.from_numpy(np.stack(decoded_masks)))


def decode_mask(path: Path, picture_path: Path, resolution: int) -> np.ndarray:
    """Read a mask as uint8 [resolution, resolution], cut as its picture is; no class is blended with another.

    Raises:
        ValueError: it cannot be decoded, has another size than its picture upright, or more than one channel.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as mask, Image.open(picture_path) as picture:
            size = ImageOps.exif_transpose(picture).size
            if mask.size != size:
                raise ValueError(f"{path} has {_format_size(mask.size)} pixels, its picture {_format_size(size)}")
            if mask.mode not in ("1", "L", "P"):
                raise ValueError(f"{path} is of mode {mask.mode}; a mask has one channel of 8 bits, grey or a palette")
            levels = Image.fromarray(np.asarray(mask).astype(np.uint8))
            return np.asarray(ImageOps.fit(levels, (resolution, resolution), Image.Resampling.NEAREST))
    except OSError as error:
        raise ValueError(f"{path} is no readable mask ({error}); remove or replace it") from error


def _list_by_name(folder: Path) -> dict[Path, Path]:
    return {path.relative_to(folder).with_suffix(""): path for path in list_pictures(folder)}


def _read_names(path: Path, num_classes: int) -> tuple[str, ...]:
    if not path.is_file():
        return ("background", *(f"class {number}" for number in range(1, num_classes)))
    names = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    if len(names) < num_classes:
        raise ValueError(f"{path} names {len(names)} classes, the masks hold numbers up to {num_classes - 1}")
    return names


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
