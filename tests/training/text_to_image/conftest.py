"""Recipes that take milliseconds, and one finished session before a jury."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from training.text_to_image.recipe import DEMO, Recipe
from training.text_to_image.session import train


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return replace(
        DEMO,
        latent_size=4,
        widths=(6, 4),
        discriminator_widths=(4, 6),
        num_scenes=300,
        text_width=8,
        match_size=6,
        steps=4,
        batch_size=6,
        validate_every=4,
        judge_width=2,
        judge_steps=2,
        judge_batch_size=12,
        num_candidates=10,
        num_held_out=40,
        num_examples=3,
        max_rows=8,
    )


@contextmanager
def few_scenes_draws_and_pictures() -> Iterator[None]:
    """Parts of some dozens of scenes, intervals of a few draws, small pictures: tiny networks are about nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.release.statistics._AGGREGATE_REPEATS", 10)
        patch.setattr("training.text_to_image.data._NUM_VALIDATION", 30)
        patch.setattr("training.text_to_image.data._NUM_TEST", 60)
        for name, count in (("_NUM_CAPTIONS", 1), ("_NUM_DRAWN", 2), ("_NUM_ATTENDED", 1)):
            patch.setattr(f"training.text_to_image.pictures.{name}", count)
        yield


@pytest.fixture(scope="module", autouse=True)
def _few_scenes_draws_and_pictures():
    with few_scenes_draws_and_pictures():
        yield


make_options = partial(runs.make_options, model="text_to_image", data="things")


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, tmp_path_factory):
    with few_scenes_draws_and_pictures():
        return train(tiny_recipe, make_options(tmp_path_factory.mktemp("text_to_image") / "run"))
