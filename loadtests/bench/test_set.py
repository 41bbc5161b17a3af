"""Labelled rows for measuring accuracy through the served path."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.manifest import Manifest
from services.client import Client

_IMAGES, _LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@dataclass(frozen=True)
class TestSet:
    """`images` UINT8 [N, H, W, C] and the `labels` [N], numbers in the order of the model's labels."""

    __test__ = False  # not a test, whatever pytest makes of its name

    images: np.ndarray
    labels: np.ndarray


def read_test_set(path: Path) -> TestSet:
    """Read the test part of a MNIST-like folder (IDX files, gzipped or not), or an .npz with `image` and `label`.

    Raises:
        FileNotFoundError: neither is there; says what was looked for.
        ValueError: an IDX file is damaged.
    """
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            return TestSet(file["image"], file["label"].astype(np.int64))
    images = _read_idx(_find(path, _IMAGES))
    return TestSet(images[..., None], _read_idx(_find(path, _LABELS)).astype(np.int64))


def measure_accuracy(test_set: TestSet, client: Client, manifest: Manifest) -> float:
    """Share of the test set that a served variant labels rightly."""
    names = np.array([label.encode() for label in manifest.handler_options["labels"]], np.object_)
    right = 0
    for start in range(0, len(test_set.labels), manifest.max_rows):
        piece = slice(start, start + manifest.max_rows)
        outputs = client.infer(
            manifest.model, {"image": test_set.images[piece]}, version=manifest.version, outputs=("label",)
        )
        right += int((outputs["label"].ravel() == names[test_set.labels[piece]]).sum())
    return right / len(test_set.labels)


def _find(folder: Path, name: str) -> Path:
    for pattern in (name, f"{name}.gz"):
        found = sorted(folder.rglob(pattern))
        if found:
            return found[0]
    raise FileNotFoundError(f"no {name} or {name}.gz below {folder}; give a MNIST-like folder or an .npz file")


def _read_idx(path: Path) -> np.ndarray:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    num_dimensions = data[3]
    shape = tuple(np.frombuffer(data, ">u4", num_dimensions, offset=4).tolist())
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * num_dimensions)
    if values.size != np.prod(shape):
        raise ValueError(f"{path} holds {values.size} values, its header says {list(shape)}")
    return values.reshape(shape)
