from dataclasses import replace

import pytest
import torch

from training.autoencoder.corruption import corrupt
from training.autoencoder.data import load_data, paste_patches
from training.autoencoder.recipe import DEMO

GREY = torch.full((4, 32, 32, 3), 128, dtype=torch.uint8)


def spoil(kind, level):
    random = torch.Generator().manual_seed(0)
    return corrupt(GREY, replace(DEMO, corruption=kind, corruption_level=level), random)


def test_noise_has_the_deviation_asked_for():
    noise = spoil("gaussian", 0.1).float() - 128
    assert float(noise.std()) == pytest.approx(25.5, rel=0.03)
    assert abs(float(noise.mean())) < 1


@pytest.mark.parametrize(("kind", "white"), [("masking", 0.0), ("salt-and-pepper", 0.1)])
def test_whole_pixels_are_spoilt_as_often_as_asked_for(kind, white):
    spoilt = spoil(kind, 0.2)
    assert (spoilt == spoilt[..., :1]).all()
    for level, share in ((0, 0.2 - white), (255, white), (128, 0.8)):
        assert float((spoilt[..., 0] == level).float().mean()) == pytest.approx(share, abs=0.03)


def test_without_a_level_images_stay_as_they_are():
    assert spoil("masking", 0.0) is GREY


def test_a_collage_has_a_square_of_the_next_image():
    images = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 8, 8, 1).contiguous()
    pasted = paste_patches(images, torch.Generator().manual_seed(0))
    assert (pasted != images).flatten(1).sum(1).tolist() == [16, 16, 16]
    assert [sorted(set(row.flatten().tolist())) for row in pasted] == [[0, 2], [0, 1], [1, 2]]


def test_an_unseen_class_is_kept_out_of_every_part_and_shown_as_unusual(tiny_recipe, tmp_path):
    data = load_data("glyphs", tmp_path, replace(tiny_recipe, unseen="7"))
    for part in (data.images.train, data.images.validation, data.images.test):
        assert part.labels.unique().tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    whole = load_data("glyphs", tmp_path, tiny_recipe).images.test
    assert torch.equal(data.unusual["class 7"], whole.images[whole.labels == 7])
    with pytest.raises(ValueError, match="unseen=seven is no class of glyphs beside others; there are 0, 1"):
        load_data("glyphs", tmp_path, replace(tiny_recipe, unseen="seven"))


def test_a_code_cannot_be_sparse_and_normal():
    with pytest.raises(ValueError, match="sparsity_weight and beta ask for codes of different distributions"):
        replace(DEMO, sparsity_weight=0.1, beta=1.0)
