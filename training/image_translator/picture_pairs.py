"""Folders of pictures in the layouts of pix2pix's and CycleGAN's data sets, decoded once.

folder/train/*.jpg, folder/test/*.jpg (or val): each file holds a source on its left half, its target on its right
folder/trainA, folder/trainB, folder/testA, folder/testB: sources and targets that nobody has paired
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from host.progress import ProgressBar
from training.image_translator.domains import Domains
from training.images.folder import cut_square, decode_picture, list_pictures, open_picture

_UNPAIRED = ("trainA", "trainB", "testA", "testB")


def is_unpaired(folder: Path) -> bool:
    """Whether a folder holds pictures of two styles apart."""
    return (folder / _UNPAIRED[0]).is_dir() or (folder / _UNPAIRED[1]).is_dir()


def is_side_by_side(folder: Path) -> bool:
    """Whether a folder holds pairs: pictures right below `train`, and not below a folder for each class."""
    train = folder / "train"
    return train.is_dir() and any(path.parent == train for path in list_pictures(train))


def load_unpaired(folder: Path, resolution: int) -> tuple[Domains, Domains]:
    """Read the training and the test part of two heaps of pictures.

    Raises:
        FileNotFoundError: one of the four folders is missing or empty.
        ValueError: a picture cannot be decoded.
    """
    decoded = {name: _decode_all(_list_some(folder / name), resolution, _decode_whole)[0] for name in _UNPAIRED}
    parts = ((decoded[f"{part}A"], decoded[f"{part}B"]) for part in ("train", "test"))
    train, test = (_join(sources, targets, paired=False) for sources, targets in parts)
    return train, test


def load_side_by_side(folder: Path, resolution: int) -> tuple[Domains, Domains | None]:
    """Read the training part of a folder of pairs, and its test part (`test`, else `val`) if it has one.

    Raises:
        FileNotFoundError: a part is empty.
        ValueError: a picture cannot be decoded.
    """
    parts = [part for part in (folder / "train", folder / "test", folder / "val") if part.is_dir()]
    train, *tests = (_read_pairs(part, resolution) for part in parts[:2])
    return train, tests[0] if tests else None


def _read_pairs(folder: Path, resolution: int) -> Domains:
    sources, targets = _decode_all(_list_some(folder), resolution, decode_halves)
    return _join(sources, targets, paired=True)


def _join(sources: Tensor, targets: Tensor, *, paired: bool) -> Domains:
    labels = torch.zeros(len(targets), dtype=torch.int64)
    return Domains(sources=sources, targets=targets, labels=labels, paired=paired)


def _list_some(folder: Path) -> list[Path]:
    paths = list_pictures(folder)
    if not paths:
        raise FileNotFoundError(
            f"{folder} has no pictures; {', '.join(_UNPAIRED)} hold those of two styles, or train "
            "and test pictures that show a source on their left and its target on their right"
        )
    return paths


def decode_halves(path: Path, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a picture's left and right half, each as uint8 [resolution, resolution, 3], the middle kept."""
    picture = open_picture(path)
    middle = picture.width // 2
    left = picture.crop((0, 0, middle, picture.height))
    right = picture.crop((picture.width - middle, 0, picture.width, picture.height))
    return cut_square(left, resolution), cut_square(right, resolution)


def _decode_whole(path: Path, resolution: int) -> tuple[np.ndarray]:
    return (decode_picture(path, resolution),)


def _decode_all(
    paths: list[Path], resolution: int, decode: Callable[[Path, int], tuple[np.ndarray, ...]]
) -> tuple[Tensor, ...]:
    """Decode files that each hold one image or several: a tensor uint8 [N, H, W, 3] for each place in them."""
    rows = []
    with ProgressBar(f"decoding {paths[0].parent.name}", len(paths)) as bar:
        for path in paths:
            rows.append(decode(path, resolution))
            bar.advance()
    return tuple(torch.from_numpy(np.stack(images)) for images in zip(*rows, strict=True))
