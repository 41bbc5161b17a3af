"""Where images of two styles come from, and that no part leaks into another."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from training.image_translator.changes import find_edges, take_colours_away
from training.image_translator.data import load_data
from training.image_translator.domains import Domains
from training.image_translator.painting import make_colours


def save(path, *colours, size=8):
    """A picture of squares of one colour each, side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(np.array(colours, np.uint8)[None].repeat(size, 0), size, 1)
    Image.fromarray(pixels).save(path)


def test_edges_are_where_a_channel_is_steep_and_an_empty_image_has_none():
    images = torch.zeros(2, 6, 6, 3, dtype=torch.uint8)
    images[0, :, 3:, 2] = 9  # a faint blue half
    edges = find_edges(images)
    assert edges.shape == (2, 6, 6, 1)
    assert edges[0, 2, :, 0].tolist() == [0, 0, 255, 255, 0, 0]
    assert not edges[1].any()


def test_colours_are_taken_away_as_files_are_made_grey():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    grey = take_colours_away(torch.from_numpy(pixels)[None])[0, :, :, 0].numpy()
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.abs(grey.astype(int) - expected).max() <= 1


def test_hues_are_those_that_everybody_knows():
    hues = torch.tensor([0, 1 / 3, 2 / 3, 1 / 6, 0.0])
    colours = make_colours(hues, torch.tensor([1.0, 1, 1, 1, 0]), torch.tensor([1.0, 1, 1, 0.5, 0.25]))
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.25] * 3]
    torch.testing.assert_close(colours, torch.tensor(expected), atol=1e-6, rtol=0)


def test_digits_are_painted_in_one_of_two_inks_of_their_class_and_always_alike(tiny_recipe, tmp_path):
    data = load_data("painted", tmp_path, tiny_recipe)
    assert (data.source_shape, data.target_shape, len(data.labels)) == ((16, 16, 1), (16, 16, 3), 10)
    assert torch.equal(load_data("painted", tmp_path, tiny_recipe).test.targets, data.test.targets)
    zeros = data.train.targets[data.train.labels == 0].float()
    brightest = zeros.amax(3).flatten(1).argmax(1)
    inks = zeros.flatten(1, 2)[torch.arange(len(zeros)), brightest]
    is_red, is_cyan = inks[:, 0] > 1.5 * inks[:, 1], inks[:, 1] > 1.5 * inks[:, 0]
    assert (is_red | is_cyan).float().mean() > 0.9
    assert 0.3 < is_red.float().mean() < 0.7


def test_without_pairs_no_image_gives_both_its_source_and_its_target(tiny_recipe, tmp_path):
    paired = load_data("digits", tmp_path, replace(tiny_recipe, change="grey"))
    parted = load_data("digits", tmp_path, replace(tiny_recipe, change="grey", method="cycle"))
    assert torch.equal(paired.train.sources, paired.train.targets)  # grey images already
    known = {row.numpy().tobytes() for row in parted.train.targets}
    assert len(parted.train.sources) + len(parted.train.targets) == len(paired.train.targets)
    assert not any(row.numpy().tobytes() in known for row in parted.train.sources)
    assert parted.test.paired


def test_the_way_back_has_sources_and_targets_exchanged(tiny_recipe, tmp_path):
    forward = load_data("painted", tmp_path, tiny_recipe)
    back = load_data("painted", tmp_path, replace(tiny_recipe, direction="back"))
    assert torch.equal(back.test.sources, forward.test.targets)
    assert torch.equal(back.test.targets, forward.test.sources)
    assert torch.equal(back.test.labels, forward.test.labels)


def test_pairs_stay_together_and_are_mirrored_together():
    images = torch.arange(10, dtype=torch.uint8)[:, None, None, None] + torch.tensor([0, 100])[None, None, :, None]
    domains = Domains(sources=images, targets=images + 50, labels=torch.zeros(10).long(), paired=True)
    sources, targets = domains.sample(200, torch.Generator().manual_seed(0), flip=True)
    assert torch.equal(sources + 50, targets)
    assert 60 < int((sources[:, 0, 0, 0] >= 100).sum()) < 140


def test_a_folder_of_pairs_holds_a_source_beside_its_target(tiny_recipe, tmp_path):
    for row in range(12):
        save(tmp_path / "own" / "train" / f"{row}.png", (10 * row, 0, 0), (0, 0, 10 * row))
    save(tmp_path / "own" / "val" / "a.jpg", (255, 255, 255), (0, 0, 0))
    data = load_data("folder:own", tmp_path, tiny_recipe)
    assert (len(data.train.sources), len(data.validation.sources), len(data.test.sources)) == (10, 2, 1)
    assert torch.equal(data.train.sources[..., 0], data.train.targets[..., 2])
    assert data.test.sources.min() > 250
    assert data.test.targets.max() < 5
    assert data.labels == ()


def test_a_folder_of_pairs_without_a_test_part_gives_a_fifth_to_it(tiny_recipe, tmp_path):
    for row in range(10):
        save(tmp_path / "train" / f"{row}.png", (row, 0, 0), (0, 0, row))
    data = load_data(f"folder:{tmp_path}", tmp_path, tiny_recipe)
    levels = [set(part.sources[:, 0, 0, 0].tolist()) for part in (data.train, data.validation, data.test)]
    assert [len(found) for found in levels] == [7, 1, 2]
    assert set.union(*levels) == set(range(10))


def test_two_heaps_of_pictures_need_not_be_of_one_size(tiny_recipe, tmp_path):
    for part, count in (("trainA", 9), ("trainB", 6), ("testA", 3), ("testB", 2)):
        for row in range(count):
            save(tmp_path / part / f"{row}.png", (row, 0, 200 if part.endswith("B") else 0))
    data = load_data(f"folder:{tmp_path}", tmp_path, replace(tiny_recipe, method="cycle"))
    assert (len(data.train.sources), len(data.train.targets), len(data.test.sources)) == (8, 5, 3)
    assert data.test.targets[..., 2].min() == 200
    assert not data.test.paired
    back = load_data(f"folder:{tmp_path}", tmp_path, replace(tiny_recipe, method="cycle", direction="back"))
    assert len(back.test.sources) == len(back.test.targets) - 1 == len(back.test.labels) - 1
    with pytest.raises(ValueError, match="has no pairs; learn without them: --preset cyclegan"):
        load_data(f"folder:{tmp_path}", tmp_path, tiny_recipe)
    (tmp_path / "testB" / "0.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"0\.png is no readable picture"):
        load_data(f"folder:{tmp_path}", tmp_path, replace(tiny_recipe, method="cycle"))


def test_a_missing_heap_is_named(tiny_recipe, tmp_path):
    save(tmp_path / "trainA" / "a.png", (0, 0, 0))
    with pytest.raises(FileNotFoundError, match="trainB has no pictures"):
        load_data(f"folder:{tmp_path}", tmp_path, replace(tiny_recipe, method="cycle"))


def test_a_folder_for_each_class_holds_targets(tiny_recipe, tmp_path):
    for row in range(12):
        save(tmp_path / ("red" if row % 2 else "blue") / f"{row}.png", (20 * row, 0, 0))
    data = load_data(f"folder:{tmp_path}", tmp_path, replace(tiny_recipe, change="grey"))
    assert data.labels == ("blue", "red")
    assert torch.equal(data.train.sources, take_colours_away(data.train.targets))
