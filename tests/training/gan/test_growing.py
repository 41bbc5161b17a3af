"""Players that begin with small images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.gan.conftest import TINY
from training.gan.growing import GrowingDiscriminator, GrowingGenerator, find_size
from training.images.dcgan import Discriminator, Generator

WIDTHS, SHAPE = (16, 12, 8), (28, 28, 1)


@pytest.fixture
def players():
    torch.manual_seed(0)
    generator = GrowingGenerator(latent_size=8, widths=WIDTHS, shape=SHAPE, num_classes=3)
    discriminator = GrowingDiscriminator(widths=WIDTHS[::-1], shape=SHAPE, norm="spectral", num_classes=3)
    return generator.eval().requires_grad_(False), discriminator.eval().requires_grad_(False)


def test_each_doubling_stays_for_half_its_time_and_fades_in_over_the_other():
    sizes = [find_size(step, 80, 2) for step in (0, 20, 30, 40, 60, 70, 80, 500)]
    assert sizes == [0, 0, 0.5, 1, 1, 1.5, 2, 2]


@pytest.mark.parametrize(("size", "side"), [(0, 8), (0.5, 16), (1, 16), (1.25, 32), (2, 28)])
def test_both_players_and_real_images_have_the_same_size(players, size, side):
    generator, discriminator = players
    generator.train()
    generator.size = discriminator.size = size
    latents, labels = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    fake = generator(latents, labels)
    real = discriminator.shrink(torch.rand(4, 1, 28, 28))
    assert fake.shape == real.shape == (4, 1, side, side)
    assert discriminator(fake, labels).shape == (4,)
    assert generator.eval()(latents, labels).shape == (4, 1, 28, 28)


@pytest.mark.parametrize("size", [0, 1])
def test_a_doubling_fades_in_from_what_was_there_to_what_stays(players, size):
    generator, discriminator = players
    latents, labels = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    real = torch.rand(4, 1, 28, 28)

    def see(at):
        generator.size = discriminator.size = at
        seen = discriminator.shrink(real)
        return generator(latents, labels), discriminator(seen, labels)

    before, begun, nearly, after = (see(at) for at in (size, size + 1e-6, size + 1 - 1e-6, size + 1))
    for first, second in ((before, begun), (nearly, after)):
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before[0], after[0], atol=1e-3)


def test_grown_players_are_the_networks_that_they_were_derived_from(players):
    generator, discriminator = players
    plain = Generator(latent_size=8, widths=WIDTHS, shape=SHAPE, num_classes=3).eval()
    plain.load_state_dict(generator.state_dict(), strict=False)
    critic = Discriminator(widths=WIDTHS[::-1], shape=SHAPE, norm="spectral", num_classes=3).eval()
    critic.load_state_dict(discriminator.state_dict(), strict=False)
    latents, labels = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    images = plain(latents, labels)
    assert torch.equal(generator(latents, labels), images)
    assert torch.equal(discriminator(images, labels), critic(images, labels))


def test_what_cannot_grow_is_refused():
    for changes in ({"generator": "style"}, {"method": "variational"}):
        with pytest.raises(ValueError, match="growth is about generator=dcgan with method=adversarial"):
            replace(TINY, growth=0.5, **changes)
    with pytest.raises(ValueError, match="leave discriminator_widths empty"):
        replace(TINY, growth=0.5, discriminator_widths=(8, 8))
