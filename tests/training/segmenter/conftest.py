from dataclasses import replace

import pytest

from training.segmenter.recipe import DEMO, Recipe


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(
        DEMO,
        width=4,
        depth=2,
        resolution=16,
        steps=4,
        batch_size=8,
        validate_every=4,
        num_validation=16,
        num_test=40,
        num_calibration=12,
        num_examples=3,
        max_rows=8,
    )
