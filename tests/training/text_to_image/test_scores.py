"""Scores and losses at points where their values are known, and what the networks' parts see."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from training.sequences.batching import hide_padding
from training.text_to_image.matching import Matcher
from training.text_to_image.network import WordAttention, build_network
from training.text_to_image.opponent import CaptionDiscriminator
from training.text_to_image.pairs import find_equals
from training.text_to_image.scores import score_retrieval, score_things

NOTHING = (10, 6)
PIECES = torch.tensor([[5, 6, 3, 0], [5, 7, 3, 0], [8, 3, 0, 0], [5, 6, 3, 0]])


def test_captions_are_equal_to_the_letter_only():
    assert find_equals(PIECES, PIECES[:2]).tolist() == [[True, False], [False, True], [False, False], [True, False]]


def test_an_image_is_found_if_its_own_caption_is_nearest_and_equal_captions_are_no_rivals():
    read = torch.eye(4)
    read[3] = read[0]
    seen = torch.eye(4)
    seen[3] = read[0]
    assert score_retrieval(seen, read, PIECES, 4).tolist() == [1, 1, 1, 1]
    seen[1] = read[2]
    assert score_retrieval(seen, read, PIECES, 4).tolist() == [1, 0, 1, 1]


def test_by_chance_an_image_is_found_once_in_as_many_captions():
    random = torch.Generator().manual_seed(0)
    seen, read = (F.normalize(torch.randn(3000, 8, generator=random), dim=1) for _ in range(2))
    pieces = torch.arange(3000)[:, None]
    assert score_retrieval(seen, read, pieces, 20).mean() == pytest.approx(1 / 20, abs=0.012)


def test_things_are_right_by_themselves_and_a_place_that_is_rightly_empty_does_not_count():
    truth = torch.tensor([[[3, 0], NOTHING], [[3, 0], [7, 2]], [[3, 0], NOTHING], [[1, 1], [2, 2]]])
    named = torch.tensor([[[3, 1], NOTHING], [[3, 0], [8, 2]], [[3, 0], [7, 2]], [[1, 1], [2, 2]]])
    found = score_things(named, truth, NOTHING)
    assert found["class_accuracy"].tolist() == [1, 0.5, 0.5, 1]
    assert found["colour_accuracy"].tolist() == [0, 1, 0.5, 1]
    assert found["scene_accuracy"].tolist() == [0, 0, 0, 1]


def test_who_matches_pays_the_logarithm_of_the_batch_for_a_guess_and_for_captions_that_are_all_equal(tiny_recipe):
    matcher = Matcher(tiny_recipe, 20, (16, 16, 3)).eval()
    images = torch.zeros(4, 3, 16, 16)
    pieces = PIECES.repeat(1, 2)[:, :4]
    with torch.no_grad():
        all_alike = matcher.measure_loss(images, pieces[:1].expand(4, -1))
        matcher.project.weight.zero_()
        guessed = matcher.measure_loss(images, pieces)
    assert float(all_alike) == pytest.approx(math.log(4), abs=1e-4)
    assert float(guessed) == pytest.approx(math.log(4), abs=1e-4)


def test_places_look_at_words_but_never_at_padding():
    torch.manual_seed(0)
    look = WordAttention(6, 8)
    pieces = torch.tensor([[5, 6, 3, 0, 0]])
    words = torch.randn(1, 5, 8)
    features = torch.randn(1, 6, 2, 3)
    found, weights = look(features, words, hide_padding(pieces)[:, None, None])
    assert found.shape == features.shape
    assert weights.shape == (1, 2, 3, 5)
    assert weights[..., 3:].abs().max() == 0
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 3))
    words[:, 3:] = 9.0
    torch.testing.assert_close(look(features, words, hide_padding(pieces)[:, None, None])[0], found)


@pytest.mark.parametrize(("reads", "num_looks"), [("words", 1), ("sentence", 0)])
def test_an_image_depends_on_its_latent_and_caption_and_on_nothing_else(reads, num_looks, tiny_recipe):
    torch.manual_seed(0)
    network = build_network(replace(tiny_recipe, reads=reads), 20, (16, 16, 3)).eval()
    latents = torch.randn(4, tiny_recipe.latent_size)
    with torch.no_grad():
        together, attended = network.draw(latents, PIECES)
        alone = network(latents[1:2], PIECES[1:2])
        same = network(latents[:1].expand(4, -1), PIECES)
    assert together.shape == (4, 3, 16, 16)
    assert len(attended) == num_looks
    torch.testing.assert_close(together[1:2], alone)
    torch.testing.assert_close(same[0], same[3])
    assert (same[0] - same[2]).abs().max() > 1e-5


def test_widths_that_do_not_reach_the_resolution_are_refused(tiny_recipe):
    with pytest.raises(ValueError, match="2 widths draw images of 16 pixels, not of 32"):
        build_network(tiny_recipe, 20, (32, 32, 3))


def test_the_discriminator_scores_an_image_alone_and_with_its_caption(tiny_recipe):
    torch.manual_seed(0)
    network = CaptionDiscriminator(tiny_recipe, (16, 16, 3)).eval()
    maps = network.see(torch.randn(2, 3, 16, 16))
    sentences = torch.randn(2, tiny_recipe.text_width)
    assert network.score_images(maps).shape == (2,)
    scores, turned = network.score_pairs(maps, sentences), network.score_pairs(maps, sentences.flip(0))
    assert scores.shape == (2,)
    assert (scores - turned).abs().min() > 1e-6
