"""One finished session on generated glyphs, small enough for every test."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from training.gan.recipe import DEMO
from training.gan.session import train

TINY = replace(
    DEMO,
    data="glyphs",
    validation_fraction=1500 / 2400,
    resolution=0,
    widths=(16, 8),
    latent_size=8,
    epochs=1,
    batch_size=50,
    average_decay=0.9,
    num_validations=2,
    min_diversity=0.0,
    judge_epochs=1,
    student_epochs=0.5,
    num_samples=200,
    num_probed=200,
    num_held_out=64,
    num_components=8,
)


make_options = partial(runs.make_options, model="gan", data="glyphs")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    return train(TINY, make_options(tmp_path_factory.mktemp("gan") / "run"))


@pytest.fixture(autouse=True)
def _few_repeats(monkeypatch):
    """Draw few bootstrap samples: enough to show a difference, and a tenth of the time."""
    monkeypatch.setattr("training.images.difference._REPEATS", 50)
