"""CelebA in torchvision's layout: faces, in two classes by one of their attributes.

Source: Liu et al. 2015, https://arxiv.org/abs/1411.7766.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from host.progress import ProgressBar
from training.images.folder import decode_picture
from training.images.splits import Split

LABELS = ("female", "male")
_ATTRIBUTE = "Male"
_TEST = 2  # 0 train, 1 valid; the validation part is cut off both together, as for every data set


def load_celeba(root: Path, resolution: int) -> tuple[str, tuple[str, ...], Split, Split]:
    """Read `root/celeba` as torchvision unpacks it; faces become RGB squares of `resolution` pixels, in memory.

    Raises:
        FileNotFoundError: a file of it is missing.
    """
    folder = root / "celeba"
    pictures, parts_file, attributes_file = (
        folder / name for name in ("img_align_celeba", "list_eval_partition.txt", "list_attr_celeba.txt")
    )
    for path in (pictures, parts_file, attributes_file):
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is missing; unpack CelebA (aligned and cropped) as torchvision does, into {folder}"
            )
    parts = dict(line.split() for line in parts_file.read_text().splitlines())
    _, header, *rows = attributes_file.read_text().splitlines()
    column = header.split().index(_ATTRIBUTE) + 1
    labels = {fields[0]: int(fields[column] == "1") for fields in map(str.split, rows)}
    rest = [name for name, part in parts.items() if int(part) != _TEST]
    test = [name for name, part in parts.items() if int(part) == _TEST]
    return (
        "celeba",
        LABELS,
        _read(pictures, rest, labels, resolution),
        _read(pictures, test, labels, resolution),
    )


def _read(pictures: Path, names: list[str], labels: dict[str, int], resolution: int) -> Split:
    images = np.empty((len(names), resolution, resolution, 3), np.uint8)
    with ProgressBar("decoding celeba", len(names)) as bar:
        for row, name in enumerate(names):
            images[row] = decode_picture(pictures / name, resolution)
            bar.advance()
    return Split(torch.from_numpy(images), torch.tensor([labels[name] for name in names]))
