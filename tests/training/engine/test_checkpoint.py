import random

import numpy as np
import pytest
import torch

from training.engine.checkpoint import load_checkpoint, save_atomically, save_checkpoint
from training.engine.seeds import generator_for, seed_everything


def test_restores_every_random_generator(tmp_path):
    seed_everything(3)
    random.random(), np.random.rand(), torch.rand(1)
    save_checkpoint(tmp_path / "c.pt", {"weight": torch.ones(2)}, {"step": 5})
    expected = (random.random(), np.random.rand(), float(torch.rand(1)))
    seed_everything(4)
    state, progress = load_checkpoint(tmp_path / "c.pt", torch.device("cpu"))
    assert (random.random(), np.random.rand(), float(torch.rand(1))) == expected
    assert torch.equal(state["weight"], torch.ones(2))
    assert progress == {"step": 5}


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "c.pt"
    save_atomically({"value": 1}, path)
    with pytest.raises((AttributeError, TypeError)):
        save_atomically({"value": lambda: 0}, path)
    assert torch.load(path, weights_only=True) == {"value": 1}


def test_generators_differ_by_place_and_repeat():
    draws = {
        place: float(torch.rand(1, generator=generator_for(*place))) for place in [(0, 1), (0, 2), (1, 1), (0, 1, 0)]
    }
    assert len(set(draws.values())) == 4
    assert float(torch.rand(1, generator=generator_for(0, 2))) == draws[0, 2]
