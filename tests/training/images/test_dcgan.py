"""Shapes, conditioning and start values of generator and discriminator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.images.dcgan import Discriminator, Generator, hold_spectral_norms, start_size


@pytest.mark.parametrize(
    ("widths", "shape"),
    [((64, 32, 16, 8), (64, 64, 3)), ((32, 16, 8), (32, 32, 3)), ((32, 16, 8), (28, 28, 1)), ((16, 8), (28, 28, 1))],
)
def test_images_have_the_shape_asked_for_and_stay_in_range(widths, shape):
    generator = Generator(latent_size=10, widths=widths, shape=shape)
    discriminator = Discriminator(widths=widths[::-1], shape=shape, norm="batch")
    images = generator(100 * torch.randn(3, 10))
    assert images.shape == (3, shape[2], *shape[:2])
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


def test_dcgan_has_its_papers_form():
    generator = Generator(latent_size=100, widths=(64, 32, 16, 8), shape=(64, 64, 3))
    assert start_size((64, 32, 16, 8), (64, 64, 3)) == 4
    assert not any(isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)) for module in generator.modules())
    weights = torch.cat([m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert abs(float(weights.std()) - 0.02) < 0.001
    discriminator = Discriminator(widths=(8, 16, 32, 64), shape=(64, 64, 3), norm="batch")
    assert isinstance(discriminator.norms[0], nn.Identity)
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in discriminator.norms[1:])
    assert all(activation.negative_slope == 0.2 for activation in discriminator.activations)


def test_too_few_widths_are_refused_with_the_number_that_fits():
    with pytest.raises(ValueError, match=r"begin with 16×16 pixels .* give 4 widths"):
        Generator(latent_size=4, widths=(16, 8), shape=(64, 64, 3))


def test_labels_change_the_image_and_the_score():
    generator = Generator(latent_size=8, widths=(16, 8), shape=(16, 16, 1), num_classes=3).eval()
    discriminator = Discriminator(widths=(8, 16), shape=(16, 16, 1), norm="spectral", num_classes=3).eval()
    latents = torch.randn(1, 8).expand(2, 8)
    images = generator(latents, torch.tensor([0, 2]))
    assert not torch.equal(images[0], images[1])
    scores = discriminator(images[:1].expand(2, -1, -1, -1), torch.tensor([0, 2]))
    assert scores[0] != scores[1]


def test_a_discriminator_that_classifies_names_classes_without_being_told_them():
    discriminator = Discriminator(widths=(8, 16), shape=(16, 16, 1), norm="spectral", num_classes=3, classifies=True)
    images = torch.randn(2, 1, 16, 16)
    discriminator.eval()
    scores, logits = discriminator.assess(images, torch.tensor([0, 1]))
    others, same = discriminator.assess(images, torch.tensor([2, 2]))
    assert logits is not None
    assert logits.shape == (2, 3)
    torch.testing.assert_close(logits, same)
    assert not torch.equal(scores, others)


def test_a_spectral_norm_of_one_bounds_how_fast_a_layer_changes():
    discriminator = Discriminator(widths=(8, 16), shape=(16, 16, 1), norm="spectral")
    for _ in range(30):
        discriminator(torch.randn(4, 1, 16, 16))
    largest = torch.linalg.matrix_norm(discriminator.convs[1].weight.flatten(1), 2)
    assert float(largest) == pytest.approx(1, abs=0.02)


def test_held_spectral_norms_keep_their_vectors_until_the_network_trains_again():
    discriminator = Discriminator(widths=(8, 16), shape=(16, 16, 1), norm="spectral", num_classes=3)

    def changes_weights():
        before = [layer.weight.clone() for layer in (*discriminator.convs, discriminator.head)]
        discriminator(torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 0]))
        after = [layer.weight for layer in (*discriminator.convs, discriminator.head)]
        return [not torch.equal(*pair) for pair in zip(before, after, strict=True)]

    hold_spectral_norms(discriminator)
    assert not any(changes_weights())
    discriminator.train()
    assert any(changes_weights())


def test_maps_of_a_discriminator_that_nothing_normalizes_do_not_fade():
    torch.manual_seed(0)
    discriminator = Discriminator(widths=(16, 32, 64), shape=(32, 32, 1), norm="none")
    for maps in discriminator.features(torch.randn(16, 1, 32, 32)):
        assert 0.5 < float(maps.square().mean().sqrt()) < 1.5


def test_a_discriminator_that_sees_its_batch_scores_an_image_by_its_neighbours():
    discriminator = Discriminator(widths=(8, 16), shape=(16, 16, 1), norm="layer", sees_batch=True)
    assert discriminator.mixes_images
    images = torch.randn(4, 1, 16, 16)
    among_others, among_itself = discriminator(images)[0], discriminator(images[:1].expand(4, -1, -1, -1))[0]
    assert not torch.isclose(among_others, among_itself, atol=1e-6)


def test_layer_norm_sees_each_image_alone():
    discriminator = Discriminator(widths=(8, 16), shape=(16, 16, 1), norm="layer")
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(discriminator(images)[:1], discriminator(images[:1]))
