"""What a discriminator is told of its batch."""

from __future__ import annotations

import torch

from training.images.batch_deviation import BatchDeviation


def test_the_last_map_has_the_mean_deviation_among_four_neighbours():
    maps = torch.randn(6, 3, 2, 2)
    seen = BatchDeviation()(maps)
    assert seen.shape == (6, 4, 2, 2)
    torch.testing.assert_close(seen[:, :3], maps)
    for rows in (slice(0, 4), slice(4, 6)):
        wanted = maps[rows].std(0, correction=0).mean()
        torch.testing.assert_close(seen[rows, 3], wanted.expand(seen[rows, 3].shape), rtol=1e-4, atol=1e-5)


def test_images_that_are_one_image_do_not_deviate_and_can_be_driven_apart():
    maps = (torch.ones(4, 3, 2, 2) + 1e-3 * torch.randn(4, 3, 2, 2)).requires_grad_()
    deviation = BatchDeviation()(maps)[:, 3].mean()
    assert float(deviation.detach()) < 2e-3
    deviation.backward()
    assert bool(maps.grad.isfinite().all())
    with torch.no_grad():
        assert float(BatchDeviation()(maps + maps.grad)[0, 3, 0, 0]) > float(deviation)
