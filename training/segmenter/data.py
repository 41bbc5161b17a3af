"""Where scenes come from: generated ones, fresh in every step, or pictures and masks of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from training.engine.data_path import find_path
from training.engine.seeds import generator_for
from training.images.data_checks import find_leaks
from training.images.splits import SPLIT_SEED, count_validation
from training.segmenter.masked_folder import load_masked_folder
from training.segmenter.recipe import Recipe
from training.segmenter.scenes import Scenes
from training.segmenter.shapes import CLASSES, draw_scenes

SHAPES, FOLDER = "shapes", "folder"
DATA_SETS = {
    SHAPES: "generated: up to three of five shapes in front of each other, behind bars, in noise; fresh in every step, "
    "held-out ones have a seed of their own",
    "folder:PATH": "PATH/images/* and PATH/masks/*.png of the same names (class numbers as grey levels or palette), or "
    "the same below PATH/train and PATH/test; names of the classes in PATH/classes.txt; here or below --data-root",
}
_TEST_SEED, _VALIDATION_SEED = 20_150_518, 20_150_519
_TEST_SHARE = 5  # of a folder without a test part one scene in so many is held out


class Source(Protocol):
    """Scenes to train on."""

    def sample(self, count: int, generator: torch.Generator) -> Scenes:
        """Draw scenes."""


@dataclass(frozen=True)
class GeneratedSource:
    """Fresh scenes for every draw."""

    side: int

    def sample(self, count: int, generator: torch.Generator) -> Scenes:
        return draw_scenes(count, self.side, generator)


@dataclass(frozen=True)
class RecordedSource:
    """Scenes of a folder, drawn with replacement, half of them mirrored if asked for."""

    scenes: Scenes
    flip: bool

    def sample(self, count: int, generator: torch.Generator) -> Scenes:
        drawn = self.scenes.take(torch.randint(len(self.scenes), (count,), generator=generator))
        mirrored = (torch.rand(count, generator=generator) < 0.5) & self.flip
        return Scenes(
            torch.where(mirrored[:, None, None, None], drawn.images.flip(2), drawn.images),
            torch.where(mirrored[:, None, None], drawn.masks.flip(2), drawn.masks),
        )


@dataclass(frozen=True, kw_only=True)
class SceneData:
    """What a run trains on, and what it is measured with; no test scene is ever trained on or chosen by.

    `findings` say what whoever reads its figures should know.
    """

    name: str
    classes: tuple[str, ...]
    source: Source
    validation: Scenes
    test: Scenes
    findings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.test.images.shape[1:]
        return height, width, channels


def load_data(data: str, data_root: Path, recipe: Recipe) -> SceneData:
    """Load `shapes` or `folder:PATH`.

    Raises:
        FileNotFoundError: there is nothing at the path, or it is laid out otherwise.
        ValueError: unknown data, a picture or mask that cannot be used, or too few of them.
    """
    kind, _, place = data.partition(":")
    if data == SHAPES:
        return SceneData(
            name=SHAPES,
            classes=CLASSES,
            source=GeneratedSource(recipe.resolution),
            validation=draw_scenes(recipe.num_validation, recipe.resolution, generator_for(_VALIDATION_SEED)),
            test=draw_scenes(recipe.num_test, recipe.resolution, generator_for(_TEST_SEED)),
        )
    if kind != FOLDER or not place:
        raise ValueError(f"unknown data {data!r}; use one of {', '.join(DATA_SETS)}")
    folder = find_path(place, data_root)
    classes, rest, test = load_masked_folder(folder, recipe.resolution)
    if len(classes) < 2:
        raise ValueError(f"the masks of {folder} hold nothing but background: there is nothing to learn")
    if test is None:
        rest, test = _cut(rest, max(1, len(rest) // _TEST_SHARE))
    num_validation = count_validation(len(rest), recipe.validation_fraction)
    if num_validation >= len(rest):
        raise ValueError(f"{folder} has {len(rest)} scenes beside its {len(test)} for testing; give more")
    train, validation = _cut(rest, num_validation)
    return SceneData(
        name=folder.name,
        classes=classes,
        source=RecordedSource(train, recipe.flip),
        validation=validation,
        test=test,
        findings=tuple(find_leaks(train.images, validation.images, test.images)),
    )


def _cut(scenes: Scenes, num_second: int) -> tuple[Scenes, Scenes]:
    """Cut in two at random, always in the same way."""
    order = torch.randperm(len(scenes), generator=generator_for(SPLIT_SEED, num_second))
    return scenes.take(order[num_second:]), scenes.take(order[:num_second])


def draw_calibration(data: SceneData, count: int) -> Tensor:
    """Training images uint8 [count, H, W, C], always the same ones."""
    return data.source.sample(count, generator_for(SPLIT_SEED)).images
