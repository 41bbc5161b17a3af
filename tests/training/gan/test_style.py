"""What styles do to the images of a style-based generator."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.gan.conftest import TINY
from training.gan.network import build_generator
from training.gan.style import StyledConvolution, StyleGenerator
from training.gan.style_pictures import draw_mixing, draw_truncation
from training.images.pixels import quantize_images

RECIPE = replace(TINY, generator="style", style_size=12, num_mappings=2, mixing_share=0.5)


def build(num_classes=0, shape=(16, 16, 1)):
    torch.manual_seed(0)
    generator = build_generator(replace(RECIPE, conditional=num_classes > 0), shape, num_classes)
    assert isinstance(generator, StyleGenerator)
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 3)])
def test_images_have_the_shape_asked_for_and_stay_in_range(shape):
    images = build(shape=shape)(10 * torch.randn(3, 8))
    assert images.shape == (3, shape[2], *shape[:2])
    assert images.abs().max() <= 1


@torch.no_grad()
def test_scaling_inputs_and_outputs_is_modulating_and_demodulating_the_weights():
    convolution = StyledConvolution(5, 4, 6, kernel=3, demodulates=True)
    x, style = torch.randn(2, 4, 7, 7), torch.randn(2, 5)
    for row, found in enumerate(convolution(x, style)):
        scaled = convolution.conv.weight * convolution.scale(style[row])[None, :, None, None]
        weight = scaled * torch.rsqrt(scaled.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        wanted = torch.nn.functional.conv2d(x[row : row + 1], weight, padding=1)[0]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_trained_a_latent_draws_one_image_and_while_training_noise_varies_it():
    generator = build()
    for layer in generator.layers:
        layer.strength.fill_(0.5)
    latents = torch.randn(4, 8)
    assert torch.equal(generator(latents), generator(latents))
    generator.mixing_share = 0.0
    generator.train()
    assert not torch.equal(generator(latents), generator(latents))


def test_closeness_goes_from_the_mean_style_of_a_class_to_an_images_own():
    generator = build(num_classes=3)
    generator.mean_styles.copy_(torch.randn(3, 12))
    latents, labels = torch.randn(4, 8), torch.tensor([0, 1, 1, 2])
    own = generator(latents, labels)
    torch.testing.assert_close(generator(latents, labels, torch.ones(4)), own)
    mean = generator(latents, labels, torch.zeros(4))
    torch.testing.assert_close(mean[1], mean[2])
    assert not torch.allclose(mean[0], mean[1])
    torch.testing.assert_close(mean[1:2], generator.synthesize([generator.mean_styles[1:2]] * generator.num_layers))
    both = generator(latents, labels, torch.tensor([0.0, 1, 0, 1]))
    torch.testing.assert_close(both, torch.stack([mean[0], own[1], mean[2], own[3]]))


def test_mean_styles_follow_those_that_are_drawn_by_class():
    generator = build(num_classes=3).train()
    latents, labels = torch.randn(64, 8), torch.arange(64) % 2
    for _ in range(800):
        generator._follow_mean(generator.map_styles(latents, labels), labels)
    styles = generator.map_styles(latents, labels)
    for number in (0, 1):
        torch.testing.assert_close(
            generator.mean_styles[number], styles[labels == number].mean(0), rtol=0.01, atol=0.01
        )
    assert not generator.mean_styles[2].any()


@pytest.mark.parametrize("share", [0.0, 1 - 1e-6])
def test_so_many_images_have_the_styles_of_two_latents(share):
    generator = build()
    generator.mixing_share = share
    styles = generator.map_styles(torch.randn(16, 8), None)
    mixed = generator._mix(styles, None)
    torch.testing.assert_close(mixed[0], styles)
    is_other = (mixed[-1] != styles).any(1)
    assert is_other.tolist() == [share > 0.5] * 16


def test_pictures_show_a_row_for_each_source(tmp_path):
    from PIL import Image

    generator = build(num_classes=3)
    draw_mixing(generator, tmp_path / "mixing.png")
    draw_truncation(generator, tmp_path / "truncation.png")
    sizes = []
    for name in ("mixing", "truncation"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            sizes.append(picture.size)
    assert sizes == [(3 * (9 * 18 + 2), 3 * (6 * 18 + 2)), (3 * (5 * 18 + 2), 3 * (8 * 18 + 2))]
    assert quantize_images(generator(torch.randn(1, 8), torch.tensor([0]))).dtype == torch.uint8


def test_a_variational_one_is_refused():
    with pytest.raises(ValueError, match="generator=style draws while it trains"):
        replace(RECIPE, method="variational")
