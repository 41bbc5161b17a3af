from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.classifier.data import load_data
from training.classifier.recipe import DEMO, PRESETS
from training.classifier.session import make_task
from training.classifier.vit import VisionTransformer


def make_network(**changes) -> VisionTransformer:
    given = {"shape": (12, 8, 1), "num_classes": 3, "patch_px": 4, "convolutional_stem": False, "width": 8}
    given |= {"num_layers": 2, "num_heads": 2, "dropout": 0.0, "distilled": False}
    return VisionTransformer(**given | changes).eval()


def test_each_place_is_a_patch_and_one_more_for_each_token():
    assert make_network().positions.shape == (1, 1 + 3 * 2, 8)
    assert make_network(shape=(14, 7, 1), convolutional_stem=True).positions.shape == (1, 1 + 4 * 2, 8)
    assert make_network(distilled=True).positions.shape == (1, 2 + 3 * 2, 8)


def test_a_patch_sees_nothing_of_others_before_the_layers_and_a_convolutional_stem_does():
    images = torch.zeros(1, 1, 8, 8)
    changed = images.clone()
    changed[..., 3, 3] = 1  # the corner of the first patch
    seen = {}
    for stem in (False, True):
        network = make_network(shape=(8, 8, 1), convolutional_stem=stem)
        places = (network.embedding(images) - network.embedding(changed)).abs().sum(1).flatten()
        seen[stem] = int((places > 0).sum())
    assert seen[False] == 1
    assert seen[True] == 4


def test_without_positions_the_order_of_patches_does_not_matter_and_with_them_it_does():
    torch.manual_seed(0)
    network = make_network(shape=(8, 4, 1))
    images = torch.randn(2, 1, 8, 4)
    swapped = torch.cat([images[:, :, 4:], images[:, :, :4]], 2)
    with torch.no_grad():
        assert not torch.allclose(network(images), network(swapped), atol=1e-5)
        network.positions[:, 1:] = 0
        torch.testing.assert_close(network(images), network(swapped))


def test_rows_of_any_number_are_exported_and_do_not_know_of_each_other():
    network = make_network(distilled=True, convolutional_stem=True, num_layers=1)
    images = torch.randn(5, 1, 12, 8)
    rows = torch.export.Dim("rows", min=1, max=64)
    exported = torch.export.export(network, (images,), dynamic_shapes=({0: rows},)).module()
    with torch.no_grad():
        for count in (1, 5):
            torch.testing.assert_close(exported(images[:count]), network(images)[:count])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (10, 8, 1)}, "patches of 4 pixels do not fill images of 10×8; set patch_px to a divisor"),
        ({"num_heads": 3}, "token_width=8 does not divide among num_heads=3"),
        ({"shape": (12, 12, 1), "patch_px": 3, "convolutional_stem": True}, "patch_px must be 2, 4, 8, …, got 3"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_network(**changes)


def test_muon_has_layers_and_normalized_filters_but_neither_tokens_nor_heads():
    network = make_network(convolutional_stem=True, num_layers=1)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert [names[id(matrix)] for matrix in network.list_matrices()] == [
        *("embedding.0.weight", "embedding.3.weight"),
        *("layers.0.attention.project.weight", "layers.0.attention.output.weight"),
        *("layers.0.feed_forward.0.weight", "layers.0.feed_forward.2.weight"),
    ]


def test_the_preset_learns_digits_in_two_epochs():
    recipe = replace(PRESETS["vit"], batch_size=25, epochs=2, resolution=16, patch_px=4, flip=False, max_threads=1)
    data = load_data("digits", Path(), replace(DEMO, resolution=16))
    torch.manual_seed(0)
    task, num_steps = make_task(recipe, data, torch.device("cpu"), seed=0)
    for step in range(num_steps):
        task.train_step(step)
    assert task.validate()["accuracy"] > 0.8
