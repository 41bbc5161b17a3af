"""Images to learn from, of any source, and their digest.

The generator sees the `train` part alone; `validation` watches it, `test` is for the evaluation at the end.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from training.gan.recipe import Recipe
from training.images.datasets import load_images
from training.images.splits import ImageData, Split


def load_data(source: str, root: Path, recipe: Recipe) -> ImageData:
    """Load a data set; raises as `load_images` does."""
    return load_images(source, root, num_validation=recipe.num_validation, resolution=recipe.resolution)


def digest_of(split: Split) -> str:
    """Compute sha256 over images and labels, which names exactly what was learned from."""
    digest = hashlib.sha256()
    digest.update(f"{tuple(split.images.shape)}".encode())
    digest.update(split.images.contiguous().numpy().data)
    digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()
