"""From a recipe to its images: those to learn from, those kept out of training, and spoilt ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from training.autoencoder.corruption import corrupt
from training.autoencoder.recipe import Recipe
from training.engine.seeds import generator_for
from training.images.augmentation import lower_batch_size
from training.images.datasets import load_images
from training.images.splits import SPLIT_SEED, ImageData, Split

_VALIDATION, _TEST, _COLLAGE, _UNUSUAL = 50, 51, 52, 53


@dataclass(frozen=True, kw_only=True)
class CodedData:
    """Usual images in three parts, held-out ones as the network is to see them, spoilt for one that cleans, and unusual
    ones by what they are, to be told from the test part.
    """

    images: ImageData
    seen_validation: Tensor
    seen_test: Tensor
    unusual: dict[str, Tensor]


def load_data(source: str, root: Path, recipe: Recipe) -> CodedData:
    """Load a data set, without the class that is to be unseen; what is spoilt is always the same.

    Raises:
        ValueError: as `load_images`, or there is no such class, or it is the only one.
        FileNotFoundError: as `load_images`.
    """
    data = load_images(source, root, validation_fraction=recipe.validation_fraction, resolution=recipe.resolution)
    unusual = {}
    if recipe.unseen:
        if recipe.unseen not in data.labels or len(data.labels) < 2:
            labels = ", ".join(data.labels)
            raise ValueError(f"unseen={recipe.unseen} is no class of {data.name} beside others; there are {labels}")
        number = data.labels.index(recipe.unseen)
        unusual[f"class {recipe.unseen}"] = data.test.images[data.test.labels == number]
        train, validation, test = (drop_class(part, number) for part in (data.train, data.validation, data.test))
        data = replace(data, train=train, validation=validation, test=test)
    unusual["collage"] = paste_patches(data.test.images, generator_for(SPLIT_SEED, _COLLAGE))
    return CodedData(
        images=data,
        seen_validation=corrupt(data.validation.images, recipe, generator_for(SPLIT_SEED, _VALIDATION)),
        seen_test=corrupt(data.test.images, recipe, generator_for(SPLIT_SEED, _TEST)),
        unusual={
            name: corrupt(images, recipe, generator_for(SPLIT_SEED, _UNUSUAL)) for name, images in unusual.items()
        },
    )


def drop_class(split: Split, number: int) -> Split:
    """Take the rows of all other classes."""
    return split.take((split.labels != number).nonzero().squeeze(1))


def paste_patches(images_NHWC: Tensor, random: torch.Generator) -> Tensor:
    """Put into each image, somewhere, the same square of the next image: half as wide and half as high."""
    count, height, width, _ = images_NHWC.shape
    pasted, others = images_NHWC.clone(), images_NHWC.roll(1, 0)
    tops = torch.randint(0, height - height // 2 + 1, (count,), generator=random).tolist()
    lefts = torch.randint(0, width - width // 2 + 1, (count,), generator=random).tolist()
    for row, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        square = slice(top, top + height // 2), slice(left, left + width // 2)
        pasted[row][square] = others[row][square]
    return pasted


def fit_recipe(recipe: Recipe, data: CodedData) -> Recipe:
    """Lower the batch size where there are too few training images for it, and say so."""
    return replace(recipe, batch_size=lower_batch_size(recipe.batch_size, len(data.images.train)))
