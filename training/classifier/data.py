"""The classifier's data: images of any source, cut and resized as its recipe says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from training.classifier.recipe import Recipe
from training.images.augmentation import fit_batch_size
from training.images.datasets import load_images
from training.images.splits import ImageData


def load_data(source: str, root: Path, recipe: Recipe) -> ImageData:
    """Load a data set; raises as `load_images` does."""
    return load_images(source, root, validation_fraction=recipe.validation_fraction, resolution=recipe.resolution)


def fit_recipe(recipe: Recipe, data: ImageData) -> Recipe:
    """Lower the batch size where there are too few training images for it, and say so.

    A rate of plain gradient descent falls with it; the compact network's rates follow the batch size by themselves.
    """
    batch_size = fit_batch_size(recipe.batch_size, len(data.train))
    if batch_size == recipe.batch_size:
        return recipe
    lr = recipe.lr if recipe.network == "compact" else recipe.lr * batch_size / recipe.batch_size
    changes = f"batch_size={batch_size} instead of {recipe.batch_size}"
    if lr != recipe.lr:
        changes += f", lr={lr:.3g} instead of {recipe.lr:g}"
    print(f"{len(data.train)} training images are few for this recipe: {changes}", file=sys.stderr)
    return replace(recipe, batch_size=batch_size, lr=lr)
