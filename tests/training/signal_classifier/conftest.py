from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from tests.training.signals.sizes import TINY
from training.signal_classifier.recipe import DEMO, Recipe
from training.signal_classifier.session import train


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(DEMO, **TINY, patch=8, width=8, num_layers=2, num_heads=2, features=8)


@pytest.fixture(scope="session")
def make_options():
    return partial(runs.make_options, model="signal_classifier", data="generated")


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, make_options, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("signals") / "run"))
