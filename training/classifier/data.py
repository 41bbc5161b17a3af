"""Image data sets for the classifier, each decoded once into uint8 arrays in memory."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.classifier.glyphs import draw_glyphs

SPLIT_SEED = 20_240_517


@dataclass(frozen=True)
class Split:
    """Images uint8 [N, H, W, C] and labels int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> Split:
        return Split(self.images[rows], self.labels[rows])


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """A data set in three parts; no training step and no choice ever looks at `test`."""

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


def load_data(source: str, root: Path, *, num_validation: int, resolution: int = 0) -> ImageData:
    """Load a data set: `digits`, `glyphs`, `mnist`, `fashion-mnist`, `cifar10` or `folder:PATH`.

    The validation part is cut off the training data by a fixed seed, the same in every run. `resolution` resizes to
    squares of so many pixels; 0 keeps the images' own size (a folder then takes 64).

    Raises:
        ValueError: unknown source, or too few images for the validation part.
        FileNotFoundError: the data is not under `root` and cannot be fetched, or the folder is not there.
    """
    if source.startswith("folder:"):
        from training.classifier.image_folder import load_folder

        name, labels, train, test = load_folder(Path(source.removeprefix("folder:")), resolution or 64)
    elif source in _SOURCES:
        name, labels, train, test = _SOURCES[source](root)
    else:
        raise ValueError(f"unknown data {source!r}; use one of {', '.join(_SOURCES)} or folder:PATH")
    if not 0 < num_validation < len(train):
        raise ValueError(f"num_validation must lie between 1 and {len(train) - 1} for {source}, got {num_validation}")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(SPLIT_SEED))
    data = ImageData(
        name=name,
        labels=labels,
        train=train.take(order[num_validation:]),
        validation=train.take(order[:num_validation]),
        test=test,
    )
    if resolution and data.shape[:2] != (resolution, resolution):
        data = replace(data, **{part: _resize(getattr(data, part), resolution) for part in _PARTS})
    return data


_PARTS = ("train", "validation", "test")
_Loaded = tuple[str, tuple[str, ...], Split, Split]


def _resize(split: Split, resolution: int) -> Split:
    """Resize to squares, bilinear with antialiasing, in pieces so that the float copy stays small."""
    pieces = []
    for images_NHWC in split.images.split(4096):
        images = images_NHWC.permute(0, 3, 1, 2).float()
        images = F.interpolate(images, (resolution, resolution), mode="bilinear", antialias=True)
        pieces.append(images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    return Split(torch.cat(pieces), split.labels)


def _load_digits(root: Path) -> _Loaded:
    """Real handwritten digits, 8×8, 1,797 of them, inside scikit-learn; generated glyphs where it is missing.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI (the test part of it).
    """
    if importlib.util.find_spec("sklearn") is None:
        print("scikit-learn is not installed: training on generated glyphs instead of digits", file=sys.stderr)
        return _load_glyphs(root)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8)).unsqueeze(-1)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    return ("digits", tuple("0123456789"), *cut_test(Split(images, labels), 540))


def _load_glyphs(root: Path) -> _Loaded:
    images, labels = draw_glyphs(3600, seed=SPLIT_SEED)
    split = Split(torch.from_numpy(images), torch.from_numpy(labels))
    return ("glyphs", tuple("0123456789"), *cut_test(split, 1200))


def cut_test(split: Split, num_test: int) -> tuple[Split, Split]:
    """Split a data set that has no test part of its own, by a fixed seed."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(SPLIT_SEED + 1))
    return split.take(order[num_test:]), split.take(order[:num_test])


def _torchvision_loader(class_name: str, labels: tuple[str, ...], name: str) -> Callable[[Path], _Loaded]:
    def load(root: Path) -> _Loaded:
        from torchvision import datasets

        kind = getattr(datasets, class_name)
        return (name, labels, *(_read_torchvision(kind, root, train=train) for train in (True, False)))

    return load


def _read_torchvision(kind: Callable, root: Path, *, train: bool) -> Split:
    try:
        dataset = kind(str(root), train=train)
    except RuntimeError:
        try:
            dataset = kind(str(root), train=train, download=True)
        except (RuntimeError, OSError) as error:
            raise FileNotFoundError(
                f"{kind.__name__} is not under {root} and could not be downloaded ({error}); "
                f"put it there in torchvision's layout or give its folder with --data-root"
            ) from error
    images = torch.as_tensor(dataset.data)
    if images.dim() == 3:
        images = images.unsqueeze(-1)
    return Split(images.contiguous(), torch.as_tensor(dataset.targets, dtype=torch.int64))


_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SOURCES: dict[str, Callable[[Path], _Loaded]] = {
    "digits": _load_digits,
    "glyphs": _load_glyphs,
    "mnist": _torchvision_loader("MNIST", tuple("0123456789"), "mnist"),
    "fashion-mnist": _torchvision_loader("FashionMNIST", _FASHION, "fashion-mnist"),
    "cifar10": _torchvision_loader("CIFAR10", _CIFAR10, "cifar10"),
}
