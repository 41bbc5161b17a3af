"""Images that somebody has decoded already, in a .npz file."""

from __future__ import annotations

import numpy as np
import pytest

from training.images.arrays import load_arrays
from training.images.datasets import load_images


@pytest.fixture
def save(tmp_path):
    def save(**changes):
        arrays = {"images": np.arange(10 * 4 * 4, dtype=np.uint8).reshape(10, 4, 4), "labels": np.arange(10) % 3}
        path = tmp_path / "pictures.npz"
        np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
        return path

    return save


def test_a_fifth_is_held_out_and_classes_are_numbered(save, tmp_path):
    data = load_images(f"arrays:{save()}", tmp_path, validation_fraction=0.25)
    assert (data.name, data.labels, data.shape) == ("pictures", ("0", "1", "2"), (4, 4, 1))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [6, 2, 2]
    firsts = sorted(int(image[0, 0, 0]) for part in (data.train, data.validation, data.test) for image in part.images)
    assert firsts == list(range(0, 160, 16))


def test_a_test_part_and_names_are_kept(save):
    test = {"test_images": np.full((2, 4, 4, 1), 7, np.uint8), "test_labels": np.array([1, 0])}
    name, labels, rest, test = load_arrays(save(names=np.array(["cat", "dog", "owl"]), **test))
    assert (name, labels, len(rest)) == ("pictures", ("cat", "dog", "owl"), 10)
    assert test.labels.tolist() == [1, 0]
    assert int(test.images.min()) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, r"has no images and labels, it has images"),
        ({"images": np.zeros((10, 4, 4))}, r"images must be uint8 \[N, H, W\] or \[N, H, W, C\], got float64"),
        ({"labels": np.zeros(9, int)}, r"one for each of 10 images, got int64 \(9,\)"),
        ({"names": np.array(["cat"])}, r"a label is 2, names has 1"),
        (
            {"test_images": np.zeros((1, 5, 5), np.uint8), "test_labels": np.zeros(1, int)},
            r"test_images are \[1, 5, 5, 1\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(save, changes, message):
    with pytest.raises(ValueError, match=message):
        load_arrays(save(**changes))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not exist; save one by numpy\.savez"):
        load_arrays(tmp_path / "none.npz")
    np.save(tmp_path / "alone.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("images")
    for name in ("alone.npy", "text.npz"):
        with pytest.raises(ValueError, match=r"is no \.npz file of plain arrays"):
            load_arrays(tmp_path / name)
