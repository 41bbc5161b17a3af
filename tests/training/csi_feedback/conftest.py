from dataclasses import replace

import pytest
import torch

from training.csi_feedback.recipe import DEMO, Recipe


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that takes milliseconds."""
    return replace(
        DEMO,
        num_taps=8,
        num_antennas=8,
        compression=8,
        width=8,
        num_heads=2,
        num_layers=1,
        steps=4,
        batch_size=8,
        validate_every=4,
        num_fit=300,
        num_validation=16,
        num_test=40,
        num_calibration=12,
        num_examples=3,
        max_rows=8,
    )


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
