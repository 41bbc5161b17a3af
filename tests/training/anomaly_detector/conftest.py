from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from tests.training.signals.sizes import TINY
from training.anomaly_detector.recipe import DEMO, Recipe
from training.anomaly_detector.session import train


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(DEMO, **TINY, width=4, depth=2, code_channels=2)


@pytest.fixture(scope="session")
def make_options():
    return partial(runs.make_options, model="anomaly_detector", data="generated")


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, make_options, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("detector") / "run"))
