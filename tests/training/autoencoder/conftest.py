from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from training.autoencoder.recipe import DEMO, Recipe
from training.autoencoder.session import train

make_options = partial(runs.make_options, model="autoencoder", data="glyphs")


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(
        DEMO,
        data="glyphs",
        validation_fraction=2200 / 2400,
        widths=(8, 4),
        code_size=6,
        epochs=1,
        batch_size=50,
        num_validations=2,
        num_calibration=12,
        num_examples=3,
        max_rows=8,
    )


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, tmp_path_factory):
    """A run that cleans images and has not seen one class."""
    recipe = replace(tiny_recipe, corruption_level=0.2, unseen="7")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.release.statistics._AGGREGATE_REPEATS", 50)
        return train(recipe, make_options(tmp_path_factory.mktemp("autoencoder") / "run"))
