from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from training.segmenter.data import RecordedSource, load_data
from training.segmenter.masked_folder import load_masked_folder
from training.segmenter.scenes import VOID, Scenes


def write_scene(folder, name, mask, level=90, size=None):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    mask = np.asarray(mask, np.uint8)
    picture = Image.new("RGB", (mask.shape[1], mask.shape[0]) if size is None else size, (level, 0, 0))
    picture.save(folder / "images" / f"{name}.png")
    Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


def square(number, side=8):
    mask = np.zeros((side, side), np.uint8)
    mask[2:4, 2:6] = number
    return mask


def test_generated_scenes_are_held_out_by_their_seed(tiny_recipe, tmp_path):
    data = load_data("shapes", tmp_path, tiny_recipe)
    assert (len(data.validation), len(data.test), data.shape) == (16, 40, (16, 16, 3))
    assert not torch.equal(data.test.images[:16], data.validation.images)
    again = load_data("shapes", tmp_path, tiny_recipe)
    assert torch.equal(again.test.images, data.test.images)


def test_a_folder_is_cut_into_parts_that_share_no_scene(tiny_recipe, tmp_path):
    for row in range(20):
        write_scene(tmp_path / "own", f"{row:02}", square(1 + row % 2), level=10 * row)
    (tmp_path / "own" / "classes.txt").write_text("none\nlow\nhigh\n")
    data = load_data("folder:own", tmp_path, replace(tiny_recipe, resolution=8))
    assert data.classes == ("none", "low", "high")
    parts = (data.source.scenes, data.validation, data.test)
    levels = [set(part.images[:, 0, 0, 0].tolist()) for part in parts]
    assert [len(found) for found in levels] == [13, 3, 4]
    assert set.union(*levels) == set(range(0, 200, 10))
    assert data.findings == ()


def test_test_pictures_that_train_are_told(tiny_recipe, tmp_path):
    for part, levels in (("train", range(0, 200, 10)), ("test", (0, 10, 20, 5))):
        for row, level in enumerate(levels):
            write_scene(tmp_path / "own" / part, f"{row:02}", square(1), level=level)
    data = load_data("folder:own", tmp_path, replace(tiny_recipe, resolution=8))
    trained = data.source.scenes.images[:, 0, 0, 0].tolist()
    count = sum(level in trained for level in (0, 10, 20))
    assert count > 0
    (finding,) = data.findings
    assert finding.startswith(f"{count} of 4 test images ({count / 4:.2%}) are training images too")


def test_a_test_part_is_taken_as_it_is_and_classes_go_by_number(tmp_path):
    write_scene(tmp_path / "train", "a", square(1))
    write_scene(tmp_path / "train", "b", square(2))
    write_scene(tmp_path / "test", "c", square(3))
    names, train, test = load_masked_folder(tmp_path, 8)
    assert names == ("background", "class 1", "class 2", "class 3")
    assert (len(train), len(test)) == (2, 1)
    assert (test.masks[0].numpy() == square(3)).all()


def test_black_and_white_masks_have_one_class_and_elsewhere_255_is_not_counted(tmp_path):
    write_scene(tmp_path / "binary", "a", square(255))
    assert load_masked_folder(tmp_path / "binary", 8)[1].masks.unique().tolist() == [0, 1]
    write_scene(tmp_path / "void", "a", square(255))
    write_scene(tmp_path / "void", "b", square(1))
    names, scenes, _ = load_masked_folder(tmp_path / "void", 8)
    assert names == ("background", "class 1")
    assert scenes.masks.unique().tolist() == [0, 1, VOID]


def test_palettes_are_read_as_numbers_and_masks_are_cut_as_their_pictures(tmp_path):
    mask = np.zeros((8, 16), np.uint8)
    mask[:, 8:] = 2
    mask[:, :2] = 1  # left of the middle that is kept
    write_scene(tmp_path, "a", mask)
    picture = Image.fromarray(mask)
    picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture.save(tmp_path / "masks" / "a.png")
    _, scenes, _ = load_masked_folder(tmp_path, 4)
    assert scenes.masks[0].tolist() == [[0, 0, 2, 2]] * 4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda folder: (folder / "masks" / "a.png").unlink(), FileNotFoundError, "1 pictures have no mask"),
        (lambda folder: write_scene(folder, "a", square(1), size=(9, 8)), ValueError, "8×8 pixels, its picture 9×8"),
        (lambda folder: (folder / "masks" / "a.png").write_bytes(b"no"), ValueError, "a.png is no readable mask"),
        (lambda folder: (folder / "classes.txt").write_text("none\n"), ValueError, "names 1 classes, the masks hold"),
        (
            lambda folder: Image.new("RGB", (8, 8)).save(folder / "masks" / "a.png"),
            ValueError,
            "is of mode RGB; a mask has one channel",
        ),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_by_name(tmp_path, change, error, message):
    write_scene(tmp_path, "a", square(1))
    change(tmp_path)
    with pytest.raises(error, match=message):
        load_masked_folder(tmp_path, 8)


def test_data_without_anything_to_learn_is_refused(tiny_recipe, tmp_path):
    write_scene(tmp_path / "empty", "a", square(0))
    with pytest.raises(ValueError, match="nothing but background"):
        load_data("folder:empty", tmp_path, tiny_recipe)
    with pytest.raises(ValueError, match="unknown data 'digits'"):
        load_data("digits", tmp_path, tiny_recipe)
    with pytest.raises(FileNotFoundError, match="no subfolders images and masks"):
        load_data(f"folder:{tmp_path}", tmp_path, tiny_recipe)


def test_images_are_mirrored_with_their_masks():
    mask = torch.zeros(1, 2, 2, dtype=torch.uint8)
    mask[0, :, 0] = 1
    scenes = Scenes(mask[..., None].expand(-1, -1, -1, 3) * 100, mask)
    drawn = RecordedSource(scenes, flip=True).sample(50, torch.Generator().manual_seed(0))
    assert (drawn.images[..., 0] == 100 * drawn.masks).all()
    assert 10 < int(drawn.masks[:, 0, 0].sum()) < 40
    still = RecordedSource(scenes, flip=False).sample(50, torch.Generator().manual_seed(0))
    assert still.masks[:, 0, 0].all()
