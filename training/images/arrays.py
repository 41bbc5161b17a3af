"""A file of images that somebody has decoded already."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

from training.images.splits import Split, cut

Labels = tuple[str, ...]


def load_arrays(path: Path) -> tuple[str, Labels, Split, Split]:
    """Read a .npz file with `images` uint8 [N, H, W] or [N, H, W, C] and `labels`, whole numbers [N].

    `test_images` and `test_labels` likewise are the test part; without them a fixed fifth is held out. `names` [K] name
    the classes; without them they are called by their numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or arrays are missing or do not fit each other.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"arrays:{path} does not exist; save one by numpy.savez({str(path)!r}, images=…, labels=…)"
        )
    try:
        file = np.load(path, allow_pickle=False)
        arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, AttributeError) as error:  # the last: an array that stands alone, .npy
        raise ValueError(f"{path} is no .npz file of plain arrays: {error}") from error
    everything = _read_part(path, arrays, "")
    names = _read_names(path, arrays, everything)
    if "test_images" not in arrays:
        return (path.stem, names, *cut(everything, max(1, len(everything) // 5)))
    test = _read_part(path, arrays, "test_")
    if test.images.shape[1:] != everything.images.shape[1:]:
        raise ValueError(f"{path}: test_images are {list(test.images.shape)}, images {list(everything.images.shape)}")
    return path.stem, names, everything, test


def _read_part(path: Path, arrays: dict[str, np.ndarray], prefix: str) -> Split:
    images, labels = arrays.get(f"{prefix}images"), arrays.get(f"{prefix}labels")
    if images is None or labels is None:
        raise ValueError(f"{path} has no {prefix}images and {prefix}labels, it has {', '.join(arrays) or 'nothing'}")
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(
            f"{path}: {prefix}images must be uint8 [N, H, W] or [N, H, W, C], got {images.dtype} {images.shape}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
        raise ValueError(
            f"{path}: {prefix}labels must be whole numbers from 0, one for each of {len(images)} images, "
            f"got {labels.dtype} {labels.shape}"
        )
    images = images if images.ndim == 4 else images[..., None]
    return Split(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


def _read_names(path: Path, arrays: dict[str, np.ndarray], split: Split) -> Labels:
    highest = max(int(arrays[name].max()) for name in ("labels", "test_labels") if name in arrays)
    names = tuple(map(str, arrays.get("names", np.arange(highest + 1))))
    if highest >= len(names):
        raise ValueError(f"{path}: a label is {highest}, names has {len(names)}")
    return names
