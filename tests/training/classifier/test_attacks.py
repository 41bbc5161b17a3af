from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training.classifier.attacks import attack
from training.classifier.program import Program
from training.images.normalization import Normalization


@pytest.fixture(scope="module")
def program():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.Tanh(), nn.Linear(16, 3))
    normalization = Normalization(torch.tensor([120.0]), torch.tensor([60.0]))
    return Program(normalization, network, test_flip=False).requires_grad_(False)


@pytest.fixture(scope="module")
def rows():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (8, 6, 6, 1), dtype=torch.uint8, generator=generator)
    return images, torch.arange(8) % 3


def run(program, rows, num_steps, bound=6.0):
    return attack(program, *rows, bound=bound, num_steps=num_steps, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("num_steps", [1, 5])
def test_no_pixel_leaves_the_bound_or_the_range_of_bytes(num_steps, program, rows):
    changed = run(program, rows, num_steps)
    assert (changed - rows[0].float()).abs().max() <= 6
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_one_step_moves_every_pixel_by_the_bound_against_the_label(program):
    images, labels = torch.full((2, 6, 6, 1), 100, dtype=torch.uint8), torch.tensor([0, 2])
    pixels = images.float().requires_grad_()
    F.cross_entropy(program.logits(pixels), labels).backward()
    torch.testing.assert_close(run(program, (images, labels), 1), images + 6 * pixels.grad.sign())


def test_more_steps_climb_higher_than_one_and_one_higher_than_none(program, rows):
    images, labels = rows
    losses = [
        float(F.cross_entropy(program.logits(changed), labels))
        for changed in (images, run(program, rows, 1, 40.0), run(program, rows, 20, 40.0))
    ]
    assert losses[0] + 0.1 < losses[1] < losses[2]
