"""Image data sets by name, each decoded once into uint8 arrays in memory."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from training.images.arrays import load_arrays
from training.images.celeba import load_celeba
from training.images.folder import load_folder
from training.images.glyphs import draw_glyphs
from training.images.splits import SPLIT_SEED, ImageData, Split, count_validation, cut

FOLDER_RESOLUTION_PX = 64
_DIGITS = tuple("0123456789")
_Loaded = tuple[str, tuple[str, ...], Split, Split]
DATA_SETS = {
    "digits": "1,797 real handwritten digits of 8×8 pixels, out of scikit-learn; glyphs where that is missing",
    "glyphs": "generated dot-matrix digits of 16×16 pixels",
    "mnist": "torchvision's folder below --data-root, downloaded there if missing; so are the next two",
    "fashion-mnist": "clothes in ten classes, 28×28 grey",
    "cifar10": "photographs in ten classes, 32×32 RGB",
    "celeba": "torchvision's folder below --data-root, not downloaded; faces by the attribute Male",
    "folder:PATH": "PATH/<class>/*.png, or PATH/train/<class>/ and PATH/test/<class>/",
    "arrays:FILE": "a .npz of images uint8 [N, H, W, C] and labels [N]; perhaps test_images, test_labels and names too",
}


@functools.lru_cache(maxsize=2)  # a generator and its judge ask for the same images
def load_images(source: str, root: Path, *, validation_fraction: float, resolution: int = 0) -> ImageData:
    """Load one of `DATA_SETS`; the same one is loaded once.

    The validation part is a share of the training data, cut off in the same way in every run (`count_validation`).
    `resolution` resizes to squares of so many pixels; 0 keeps the images' own size (pictures of a folder and of CelebA
    become 64×64).

    Raises:
        ValueError: unknown source, or too few images for the validation part.
        FileNotFoundError: the data is not under `root` and cannot be fetched, or the folder is not there.
    """
    if source.startswith("folder:"):
        name, labels, rest, test = load_folder(
            Path(source.removeprefix("folder:")).expanduser(), resolution or FOLDER_RESOLUTION_PX
        )
    elif source.startswith("arrays:"):
        name, labels, rest, test = load_arrays(Path(source.removeprefix("arrays:")).expanduser())
    elif source == "celeba":
        name, labels, rest, test = load_celeba(root, resolution or FOLDER_RESOLUTION_PX)
    elif source in _SOURCES:
        name, labels, rest, test = _SOURCES[source](root)
    else:
        raise ValueError(f"unknown data {source!r}; use one of {', '.join(DATA_SETS)}")
    num_validation = count_validation(len(rest), validation_fraction)
    if num_validation >= len(rest):
        raise ValueError(
            f"{source} has {len(rest) + len(test)} images: {len(test)} for testing, and of the other {len(rest)} "
            f"validation_fraction={validation_fraction:g} takes {num_validation} for validation, so that none are left "
            "to train on; give more images or a smaller fraction"
        )
    train, validation = cut(rest, num_validation)
    data = ImageData(name=name, labels=labels, train=train, validation=validation, test=test)
    return data.resized(resolution) if resolution else data


def _load_digits(root: Path) -> _Loaded:
    """Read real handwritten digits, 1,797 of 8×8 pixels, out of scikit-learn; where it is missing, draw glyphs.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI (its test part).
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        print("scikit-learn is not installed: generated glyphs take the place of digits", file=sys.stderr)
        return _load_glyphs(root)
    # What sklearn.datasets.load_digits reads; to import that takes 2.5 s of processor time.
    rows = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images = torch.from_numpy((rows[:, :-1] * (255 / 16)).round().astype(np.uint8)).view(-1, 8, 8, 1)
    return ("digits", _DIGITS, *cut(Split(images, torch.from_numpy(rows[:, -1].astype(np.int64))), 540))


def _load_glyphs(_root: Path) -> _Loaded:
    images, labels = draw_glyphs(3600, seed=SPLIT_SEED)
    return ("glyphs", _DIGITS, *cut(Split(torch.from_numpy(images), torch.from_numpy(labels)), 1200))


def _torchvision_source(class_name: str, labels: tuple[str, ...], name: str) -> Callable[[Path], _Loaded]:
    def load(root: Path) -> _Loaded:
        from torchvision import datasets  # slow to import

        kind = getattr(datasets, class_name)
        return name, labels, _read_torchvision(kind, root, train=True), _read_torchvision(kind, root, train=False)

    return load


def _read_torchvision(kind: Callable, root: Path, *, train: bool) -> Split:
    try:
        dataset = kind(str(root), train=train)
    except RuntimeError:  # not there, says torchvision
        try:
            dataset = kind(str(root), train=train, download=True)
        except (RuntimeError, OSError) as error:
            raise FileNotFoundError(
                f"{kind.__name__} is not under {root} and could not be downloaded ({error}); "
                f"put it there in torchvision's layout or name its folder with --data-root"
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
    "mnist": _torchvision_source("MNIST", _DIGITS, "mnist"),
    "fashion-mnist": _torchvision_source("FashionMNIST", _FASHION, "fashion-mnist"),
    "cifar10": _torchvision_source("CIFAR10", _CIFAR10, "cifar10"),
}
