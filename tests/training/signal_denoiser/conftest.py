from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from tests.training.signals.sizes import TINY
from training.signal_denoiser.recipe import DEMO, Recipe
from training.signal_denoiser.session import train


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(DEMO, **TINY, width=4, depth=2)


@pytest.fixture(scope="session")
def make_options():
    return partial(runs.make_options, model="signal_denoiser", data="generated")


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, make_options, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("denoiser") / "run"))
