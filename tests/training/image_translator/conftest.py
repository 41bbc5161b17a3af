"""Recipes that take milliseconds, and one finished session before a judge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.training import runs
from training.image_translator.painting import paint_images
from training.image_translator.recipe import DEMO, Recipe
from training.image_translator.session import train
from training.images.datasets import load_images


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return replace(
        DEMO,
        width=4,
        depth=2,
        patch_width=4,
        steps=4,
        batch_size=8,
        validate_every=4,
        resolution=16,
        buffer_size=12,
        judge_epochs=0.5,
        num_components=4,
        num_calibration=12,
        num_examples=3,
        max_rows=8,
    )


@pytest.fixture(scope="session")
def few_images(tmp_path_factory) -> str:
    """A data set of 140 painted digits, 40 of them to test with: a judge looks at few images in no time."""
    images = load_images("digits", Path(), validation_fraction=0.1, resolution=16)
    painted = paint_images(images)
    file = tmp_path_factory.mktemp("few") / "few.npz"
    np.savez(
        file,
        images=painted.train.images[:100].numpy(),
        labels=painted.train.labels[:100].numpy(),
        test_images=painted.test.images[:40].numpy(),
        test_labels=painted.test.labels[:40].numpy(),
    )
    return f"arrays:{file}"


make_options = partial(runs.make_options, model="image_translator", data="painted")


@contextmanager
def few_draws() -> Iterator[None]:
    """Intervals of tiny networks are about nothing: a few draws of a bootstrap are enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.release.statistics._AGGREGATE_REPEATS", 20)
        patch.setattr("training.labels.record.draw_all", lambda *given: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _few_draws():
    with few_draws():
        yield


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, few_images, tmp_path_factory):
    with few_draws():
        return train(tiny_recipe, make_options(tmp_path_factory.mktemp("image_translator") / "run", data=few_images))
