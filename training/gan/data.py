"""Images to learn from, of any source.

The generator sees the `train` part alone; `validation` watches it, `test` is for the evaluation at the end.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.gan.recipe import Recipe
from training.images.augmentation import lower_batch_size
from training.images.datasets import load_images
from training.images.splits import ImageData


def load_data(source: str, root: Path, recipe: Recipe) -> ImageData:
    """Load a data set; raises as `load_images` does."""
    return load_images(source, root, validation_fraction=recipe.validation_fraction, resolution=recipe.resolution)


def fit_recipe(recipe: Recipe, data: ImageData) -> Recipe:
    """Lower the batch size where there are too few training images for it, and say so."""
    return replace(recipe, batch_size=lower_batch_size(recipe.batch_size, len(data.train)))
