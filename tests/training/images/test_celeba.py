"""Reading CelebA in torchvision's layout, from a folder of the same form."""

from __future__ import annotations

import pytest
from PIL import Image

from training.images.datasets import load_images

# number of picture → part (0 train, 1 valid, 2 test), Male
FACES = {1: (0, "-1"), 2: (0, "1"), 3: (1, "1"), 4: (2, "-1"), 5: (2, "1"), 6: (0, "-1")}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for number in FACES:
        picture = Image.new("RGB", (178, 218), (255, 0, 0))
        picture.paste((0, 10 * number, 0), (0, 20, 178, 198))
        picture.save(folder / "img_align_celeba" / f"{number:06}.jpg", quality=95)
    parts = [f"{number:06}.jpg {part}" for number, (part, _) in FACES.items()]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    rows = [f"{number:06}.jpg -1  {male} -1" for number, (_, male) in FACES.items()]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), "Eyeglasses Male Young ", *rows]) + "\n")
    return tmp_path


def test_faces_come_in_two_classes_cut_to_the_middle_in_the_data_sets_own_parts(root):
    data = load_images("celeba", root, validation_fraction=0.1, resolution=32)
    assert data.labels == ("female", "male")
    assert data.shape == (32, 32, 3)
    assert (len(data.train), len(data.validation)) == (3, 1)
    assert data.test.labels.tolist() == [0, 1]
    middles = data.test.images[:, 16, 16].tolist()
    assert [round(green / 10) for _, green, _ in middles] == [4, 5]
    assert data.test.images[:, 4:-4, :, 0].max() < 10


def test_without_a_resolution_faces_have_64_pixels(root):
    assert load_images("celeba", root, validation_fraction=0.1).shape == (64, 64, 3)


def test_a_missing_file_is_named(root):
    (root / "celeba" / "list_attr_celeba.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"list_attr_celeba.txt is missing; unpack CelebA"):
        load_images("celeba", root, validation_fraction=0.1)
