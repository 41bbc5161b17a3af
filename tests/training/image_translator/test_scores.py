"""Scores, baselines, networks and the history at points where their values are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.image_translator.baselines import colour_by_level, copy_sources
from training.image_translator.cycle import ImageHistory
from training.image_translator.domains import Domains
from training.image_translator.network import build_network
from training.image_translator.patches import PatchDiscriminator
from training.image_translator.recipe import DEMO
from training.image_translator.scores import (
    absolute_errors,
    signal_to_noise_db,
    structural_similarities,
)
from training.images.distances import frechet_of_pairs


def test_errors_are_shares_of_the_range_and_a_perfect_copy_is_as_good_as_rounding():
    truth = torch.full((2, 16, 16, 3), 100, dtype=torch.uint8)
    answers = truth.clone()
    answers[1] += 51
    assert absolute_errors(answers, truth).tolist() == pytest.approx([0, 0.2])
    assert signal_to_noise_db(answers, truth).tolist() == pytest.approx([58.92, -20 * np.log10(0.2)], abs=0.01)


def test_structure_is_what_a_shift_of_levels_leaves_alone_and_noise_does_not():
    random = torch.Generator().manual_seed(0)
    truth = torch.randint(60, 180, (1, 16, 16, 1), generator=random, dtype=torch.uint8)
    brighter = truth + 10
    noisy = torch.randint(60, 180, truth.shape, generator=random, dtype=torch.uint8)
    same, shifted, other = (float(structural_similarities(each, truth)[0]) for each in (truth, brighter, noisy))
    assert same == pytest.approx(1)
    assert 0.95 < shifted < 1
    assert other < 0.3


def test_the_distance_of_pairs_is_that_of_their_two_heaps():
    rows = np.random.default_rng(0).standard_normal((400, 2, 3))
    rows[:, 0] = rows[:, 1] + [2, 0, 0]
    assert frechet_of_pairs(rows) == pytest.approx(4)
    assert frechet_of_pairs(rows[:, [1, 1]]) == pytest.approx(0, abs=1e-9)


def test_levels_take_the_mean_colour_that_they_have_in_training():
    sources = torch.tensor([10, 10, 200], dtype=torch.uint8)[:, None, None, None]
    targets = torch.tensor([[0, 100, 0], [100, 100, 0], [9, 9, 9]], dtype=torch.uint8)[:, None, None]
    train = Domains(sources=sources, targets=targets, labels=torch.zeros(3).long(), paired=True)
    asked = torch.tensor([5, 10, 150, 255], dtype=torch.uint8)[:, None, None, None]
    found = colour_by_level(train, asked)[:, 0, 0].tolist()
    assert found == [[50, 100, 0], [50, 100, 0], [50, 100, 0], [9, 9, 9]]


def test_a_copied_source_has_the_channels_of_the_answers():
    colours = torch.tensor([[[[255, 0, 0]]]], dtype=torch.uint8)
    assert copy_sources(colours, 3) is colours
    assert copy_sources(colours, 1).flatten().tolist() == [76]
    assert copy_sources(colours[..., 1:2], 3).flatten().tolist() == [0, 0, 0]


def test_a_network_draws_pixels_in_range_and_refuses_sides_that_it_cannot_halve(tiny_recipe):
    network = build_network(tiny_recipe, (8, 12, 1), (8, 12, 3)).eval()
    drawn = network(torch.randn(2, 1, 8, 12) * 50)
    assert drawn.shape == (2, 3, 8, 12)
    assert drawn.abs().max() <= 1
    with pytest.raises(ValueError, match="images of 10×8 are halved depth=2 times: set resolution to a multiple of 4"):
        build_network(tiny_recipe, (10, 8, 1), (10, 8, 3))


@torch.no_grad()
def test_the_discriminator_judges_patches_each_by_its_neighbourhood():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(4, 4, 2).eval()
    images = torch.randn(1, 4, 64, 64)
    scores = discriminator(images)
    assert scores.shape == (1, 1, 16, 16)
    images[..., 40:] = 0
    changed = (discriminator(images) != scores)[0, 0].any(0)
    assert not changed[:7].any()  # columns up to 28 and what lies around them
    assert changed[10:].all()


def test_a_history_shows_older_images_once_it_is_full_and_keeps_newer_ones_in_their_place():
    history, random = ImageHistory(4), torch.Generator().manual_seed(0)
    first = torch.arange(4.0)[:, None, None, None]
    assert torch.equal(history.mix(first, random), first)
    mixed = history.mix(first + 10, random).flatten().tolist()
    assert sum(value < 10 for value in mixed) == 2
    assert mixed[2:] == [12, 13]
    kept = history.images.flatten().tolist()
    assert sorted(kept) == sorted([*(value for value in range(4) if value not in mixed[:2]), 10, 11])
    again = ImageHistory(4)
    again.load_state_dict(history.state_dict())
    assert again.images.flatten().tolist() == kept
    assert torch.equal(ImageHistory(0).mix(first, random), first)


def test_a_recipe_that_could_learn_nothing_is_refused():
    with pytest.raises(ValueError, match="there is nothing to learn from pairs"):
        replace(DEMO, adversarial_weight=0, l1_weight=0)
    with pytest.raises(ValueError, match="nothing else says what the wanted style is"):
        replace(DEMO, method="cycle", adversarial_weight=0)
