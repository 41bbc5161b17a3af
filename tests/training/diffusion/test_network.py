"""The U-Net, and the images that the released program estimates with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.diffusion.conftest import TINY
from training.diffusion.network import build_network
from training.diffusion.objective import draw_log_snr
from training.diffusion.program import Program, mix


def test_an_untrained_network_says_nothing_of_any_image_of_any_size():
    for shape in ((16, 16, 1), (28, 28, 1), (10, 14, 3)):
        network = build_network(TINY, shape, 10)
        x = torch.randn(2, shape[2], *shape[:2])
        velocity = network(x, torch.tensor([-3.0, 2.0]), torch.tensor([0, 10]))
        assert velocity.shape == x.shape
        assert not velocity.any()


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="patches of 2 pixels do not fill images of 15×16"):
        build_network(TINY, (15, 16, 1), 10)
    with pytest.raises(ValueError, match="widths are multiples of 8, got 12"):
        build_network(replace(TINY, widths=(12,)), (16, 16, 1), 10)


def test_the_program_finds_the_image_behind_the_noise_where_the_velocity_is_right():
    torch.manual_seed(0)
    images, noise = torch.rand(5, 1, 4, 6), torch.randn(5, 1, 4, 6)
    log_snr = torch.linspace(-8, 8, 5)
    noisy, velocity = mix(images, noise, log_snr)

    class Knowing(torch.nn.Module):
        shape = (4, 6, 1)

        def forward(self, *given):
            return velocity

    found = Program(Knowing())(noisy.flatten(1), log_snr, torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(found, images.flatten(1), atol=1e-5, rtol=0)


def test_the_times_of_a_batch_lie_evenly():
    log_snr = draw_log_snr("cosine", 64, torch.Generator().manual_seed(0))
    shares = [(low <= log_snr.sigmoid()).float().mean() for low in (0.5,)]
    assert shares[0] == pytest.approx(0.5, abs=1 / 32)
    assert log_snr.unique().numel() > 60
