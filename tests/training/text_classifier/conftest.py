from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from tests.training import runs
from training.text_classifier.recipe import DEMO, Recipe
from training.text_classifier.session import train


@contextmanager
def few_opinions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.text_classifier.data.NUM_OPINIONS", {"train": 240, "validation": 40, "test": 60})
        yield


@pytest.fixture(scope="module", autouse=True)
def _few_opinions():
    with few_opinions():
        yield


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(DEMO, width=16, hidden=16, vocabulary_size=400, epochs=1, tokens_per_batch=1500, num_examples=3)


@pytest.fixture(scope="session")
def make_options():
    return partial(runs.make_options, model="text_classifier", data="opinions")


@pytest.fixture(scope="session")
def finished_run(tiny_recipe, make_options, tmp_path_factory):
    with few_opinions():
        return train(tiny_recipe, make_options(tmp_path_factory.mktemp("text") / "run"))
