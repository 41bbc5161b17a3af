"""Where captioned images come from: scenes that are composed, or folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from training.engine.data_path import find_path
from training.engine.seeds import generator_for
from training.images.datasets import DATA_SETS as IMAGES
from training.images.datasets import load_images
from training.images.splits import SPLIT_SEED, ImageData, Split, count_validation
from training.text_to_image.captioned import CaptionData, CaptionedImages
from training.text_to_image.captioned_folder import LAYOUTS, load_captioned_folder
from training.text_to_image.composition import compose_scenes
from training.text_to_image.grammar import ALL, COLOURS, SINGLE, caption_scenes, draw_scenes
from training.text_to_image.recipe import Recipe

THINGS, SCENES, FOLDER = "things", "scenes", "folder"
_LAYOUTS = {THINGS: SINGLE, SCENES: ALL}
_FIRST = "digits"
DATA_SETS = {
    THINGS: "a digit in one of six colours, small or large, on paper: 'a small red 3 on grey'; a sixth of all digits "
    "in colours is never trained with. things:NAME takes things of other image data sets: "
    + ", ".join(name for name in IMAGES if ":" not in name),
    SCENES: "the same, or two of them: 'a red 3 left of a blue 7 on black'; scenes:NAME likewise",
    "folder:PATH": f"pictures with {LAYOUTS}; here or below --data-root",
}
_NUM_VALIDATION, _NUM_TEST = 500, 1000
_VALIDATION_FRACTION = 0.125  # of the things' images
_TEST_SHARE = 5  # of a folder's pictures one in so many is held out
_LEAST_TESTED = 8  # pictures: fewer have no neighbourhoods


def load_data(source: str, root: Path, recipe: Recipe) -> CaptionData:
    """Load one of `DATA_SETS`.

    Raises:
        ValueError: unknown source, or too few images.
        FileNotFoundError: the data cannot be found.
    """
    kind, _, place = source.partition(":")
    if kind == FOLDER and place:
        return _load_folder(find_path(place, root), recipe)
    if kind not in _LAYOUTS:
        raise ValueError(f"unknown data {source!r}; use one of {', '.join(DATA_SETS)}")
    things = load_images(place or _FIRST, root, validation_fraction=_VALIDATION_FRACTION)
    return _compose(kind, things, recipe)


def _compose(kind: str, things: ImageData, recipe: Recipe) -> CaptionData:
    """Scenes in all parts: training, validation and test scenes of things of those parts."""
    names = tuple(label.lower() for label in things.labels)

    def compose(number: int, pool: Split, count: int, held_out: bool | None) -> CaptionedImages:
        return _compose_part(pool, names, _LAYOUTS[kind], count, recipe, generator_for(SPLIT_SEED, number), held_out)

    return CaptionData(
        name=f"{kind} of {things.name}",
        classes=names,
        colours=tuple(COLOURS),
        train=compose(0, things.train, recipe.num_scenes, False),
        validation=compose(1, things.validation, _NUM_VALIDATION, False),
        test=compose(2, things.test, _NUM_TEST, False),
        unseen=compose(3, things.test, _NUM_TEST, True),
        judging=compose(4, things.train, recipe.num_scenes, None),
    )


def _compose_part(
    pool: Split,
    names: Sequence[str],
    layouts: Sequence[int],
    count: int,
    recipe: Recipe,
    random: torch.Generator,
    held_out: bool | None,
) -> CaptionedImages:
    scenes = draw_scenes(count, len(names), layouts, random, held_out=held_out)
    return CaptionedImages(
        images=compose_scenes(scenes, pool, recipe.resolution, random),
        captions=tuple((caption,) for caption in caption_scenes(scenes, names, random)),
        things=scenes.things,
    )


def _load_folder(folder: Path, recipe: Recipe) -> CaptionData:
    everything = load_captioned_folder(folder, recipe.resolution)
    order = torch.randperm(len(everything), generator=generator_for(SPLIT_SEED))
    num_test = len(everything) // _TEST_SHARE
    if num_test < _LEAST_TESTED:
        raise ValueError(
            f"{folder} has {len(everything)} pictures with captions, too few to test with a {_TEST_SHARE}th of them; "
            f"give {_TEST_SHARE * _LEAST_TESTED} or more"
        )
    num_validation = count_validation(len(everything) - num_test, recipe.validation_fraction)
    test, validation, train = order.split([num_test, num_validation, len(order) - num_test - num_validation])
    learned = everything.take(train)
    return CaptionData(
        name=folder.name,
        classes=(),
        colours=(),
        train=learned,
        validation=everything.take(validation),
        test=everything.take(test),
        unseen=None,
        judging=learned,
    )
