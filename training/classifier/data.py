"""The classifier's data: images of any source, cut and resized as its recipe says."""

from __future__ import annotations

from pathlib import Path

from training.classifier.recipe import Recipe
from training.images.datasets import load_images
from training.images.splits import ImageData


def load_data(source: str, root: Path, recipe: Recipe) -> ImageData:
    """Load a data set; raises as `load_images` does."""
    return load_images(source, root, num_validation=recipe.num_validation, resolution=recipe.resolution)
