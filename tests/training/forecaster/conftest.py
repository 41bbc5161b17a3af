from dataclasses import replace

import pytest
import torch

from training.forecaster.recipe import DEMO, Recipe


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(
        DEMO,
        context=24,
        horizon=6,
        periods=(4, 7),
        period=4,
        width=8,
        num_heads=2,
        features=8,
        steps=4,
        batch_size=8,
        validate_every=4,
        num_validation=16,
        num_test=40,
        num_calibration=12,
        num_examples=3,
        max_rows=8,
    )


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
