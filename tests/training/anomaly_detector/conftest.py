from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from training.anomaly_detector.recipe import DEMO, Recipe
from training.anomaly_detector.session import train


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds; 250 samples are no multiple of 4."""
    return replace(
        DEMO,
        num_samples=250,
        width=4,
        depth=2,
        code_channels=2,
        num_train=60,
        num_validation=20,
        num_test=40,
        steps=4,
        batch_size=8,
        validate_every=4,
        num_calibration=12,
        num_examples=3,
        max_rows=8,
    )


@pytest.fixture(scope="session")
def make_options():
    return partial(runs.make_options, model="anomaly_detector", data="generated")


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, make_options, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("detector") / "run"))
