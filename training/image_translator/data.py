"""Where images of two styles come from: single images of which less is left, or folders of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from training.engine.data_path import find_path
from training.engine.seeds import generator_for
from training.image_translator.changes import change_images
from training.image_translator.domains import Domains, TranslationData
from training.image_translator.painting import paint_images
from training.image_translator.picture_pairs import is_side_by_side, is_unpaired, load_side_by_side, load_unpaired
from training.image_translator.recipe import Recipe
from training.images.datasets import DATA_SETS as IMAGES
from training.images.datasets import FOLDER_RESOLUTION_PX, load_images
from training.images.splits import SPLIT_SEED, ImageData, Split, count_validation

PAINTED = "painted"
DATA_SETS = {
    PAINTED: "digits in colours, each class in one of two inks on paper of any colour; painted:NAME paints others of "
    "these",
    **{name: meaning for name, meaning in IMAGES.items() if not name.startswith("folder")},
    "folder:PATH": "PATH/train and PATH/test with pictures of source and target side by side, as pix2pix has them; "
    "PATH/trainA, trainB, testA and testB, as CycleGAN has them; or a folder of pictures for each class, "
    "which become targets as those of other data sets do",
}
_PAINTED_FIRST = "digits"
_TEST_SHARE = 5  # of pairs without a test part one in so many is held out


def load_data(source: str, root: Path, recipe: Recipe) -> TranslationData:
    """Load one of `DATA_SETS`, in the recipe's direction; without pairs to train on where the recipe wants none.

    Raises:
        ValueError: unknown source, pairs are wanted and there are none, or too few images.
        FileNotFoundError: the data cannot be found.
    """
    data = _load_as_it_is(source, root, recipe)
    train, validation, test = (_arrange(part, recipe) for part in (data.train, data.validation, data.test))
    if recipe.method == "cycle" and train.paired:
        train = train.parted()
    elif recipe.method == "paired" and not train.paired:
        raise ValueError(f"{source} has no pairs; learn without them: --preset cyclegan, or --set method=cycle")
    return replace(data, train=train, validation=validation, test=test)


def as_labelled_images(data: TranslationData) -> ImageData:
    """The targets alone, for the classifier that judges translations."""
    train, validation, test = (Split(part.targets, part.labels) for part in (data.train, data.validation, data.test))
    return ImageData(name=data.name, labels=data.labels, train=train, validation=validation, test=test)


def draw_calibration(data: TranslationData, count: int) -> torch.Tensor:
    """Training sources uint8 [count, H, W, C], always the same ones."""
    return data.train.sample(count, generator_for(SPLIT_SEED), flip=False)[0]


def _load_as_it_is(source: str, root: Path, recipe: Recipe) -> TranslationData:
    kind, _, place = source.partition(":")
    if kind == "folder" and place:
        folder = find_path(place, root)
        if is_unpaired(folder) or is_side_by_side(folder):
            return _load_folder(folder, recipe)
        source = f"folder:{folder}"
    single = place or _PAINTED_FIRST if kind == PAINTED else source
    images = load_images(single, root, validation_fraction=recipe.validation_fraction, resolution=recipe.resolution)
    return _take_away(paint_images(images) if kind == PAINTED else images, recipe)


def _arrange(domains: Domains, recipe: Recipe) -> Domains:
    """Turn a part round where the recipe asks for it; without pairs both sides have as many channels."""
    if recipe.method == "cycle":
        domains = _match_channels(domains)
    return domains.turned() if recipe.direction == "back" else domains


def _take_away(images: ImageData, recipe: Recipe) -> TranslationData:
    def change(split: Split) -> Domains:
        sources = change_images(split.images, recipe.change)
        return Domains(sources=sources, targets=split.images, labels=split.labels, paired=True)

    return TranslationData(
        name=f"{images.name} from {recipe.change}",
        labels=images.labels,
        train=change(images.train),
        validation=change(images.validation),
        test=change(images.test),
    )


def _load_folder(folder: Path, recipe: Recipe) -> TranslationData:
    resolution = recipe.resolution or FOLDER_RESOLUTION_PX
    rest: Domains
    test: Domains | None
    if is_unpaired(folder):
        rest, test = load_unpaired(folder, resolution)
    else:
        rest, test = load_side_by_side(folder, resolution)
    if test is None:
        rest, test = _cut(rest, max(1, len(rest.sources) // _TEST_SHARE))
    smallest = min(len(rest.sources), len(rest.targets))
    num_validation = count_validation(smallest, recipe.validation_fraction)
    if num_validation >= smallest:
        raise ValueError(f"{folder} has {smallest} training images beside its test part; give more")
    train, validation = _cut(rest, num_validation)
    return TranslationData(name=folder.name, labels=(), train=train, validation=validation, test=test)


def _cut(domains: Domains, num_second: int) -> tuple[Domains, Domains]:
    """Cut in two at random, always in the same way; the second part has `num_second` sources and targets."""
    order = torch.randperm(len(domains.sources), generator=generator_for(SPLIT_SEED, num_second))
    others = order
    if not domains.paired:
        others = torch.randperm(len(domains.targets), generator=generator_for(SPLIT_SEED, num_second, 1))
    first, second = (
        replace(domains, sources=domains.sources[rows], targets=domains.targets[own], labels=domains.labels[own])
        for rows, own in ((order[num_second:], others[num_second:]), (order[:num_second], others[:num_second]))
    )
    return first, second


def _match_channels(domains: Domains) -> Domains:
    """Give grey sources as many channels as targets have: each translator has to take the other's images too."""
    channels = domains.targets.shape[3]
    return replace(domains, sources=domains.sources.expand(-1, -1, -1, channels).contiguous())
