import torch

from training.sequences.encoder import sinusoids


def test_sinusoids_are_those_of_the_paper():
    positions = sinusoids(50, 8)
    assert positions.shape == (50, 8)
    torch.testing.assert_close(positions[3, 2], torch.tensor(3 / 10_000 ** (2 / 8)).sin())
    torch.testing.assert_close(positions[3, 3], torch.tensor(3 / 10_000 ** (2 / 8)).cos())
