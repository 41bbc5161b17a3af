"""One finished session on generated glyphs, small enough for every test."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from training.diffusion.recipe import DEMO
from training.diffusion.session import train

TINY = replace(
    DEMO,
    data="glyphs",
    validation_fraction=1500 / 2400,
    resolution=0,
    widths=(8, 16),
    embedding_size=16,
    steps=3,
    epochs=1,
    batch_size=50,
    average_decay=0.9,
    num_validations=1,
    num_validated=50,
    judge_epochs=1,
    student_epochs=0.5,
    num_samples=100,
    num_held_out=64,
    num_components=8,
)


make_options = partial(runs.make_options, model="diffusion", data="glyphs")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    return train(TINY, make_options(tmp_path_factory.mktemp("diffusion") / "run"))
