from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from training.images.datasets import load_images
from training.images.splits import count_validation


def test_digits_have_fixed_disjoint_parts(tmp_path):
    data = load_images("digits", tmp_path, validation_fraction=0.125)
    assert (len(data.train), len(data.validation), len(data.test)) == (1100, 157, 540)
    assert data.shape == (8, 8, 1)
    assert data.train.images.dtype == torch.uint8
    assert int(data.train.images.max()) == 255
    again = load_images("digits", tmp_path, validation_fraction=0.125)
    assert torch.equal(data.test.images, again.test.images)
    assert torch.equal(data.validation.labels, again.validation.labels)
    other = load_images("digits", tmp_path, validation_fraction=0.25)
    assert torch.equal(data.test.images, other.test.images)


def test_resolution_resizes_every_part(tmp_path):
    data = load_images("digits", tmp_path, validation_fraction=0.125, resolution=24)
    assert data.shape == (24, 24, 1)
    assert data.test.images.shape == (540, 24, 24, 1)


def test_glyphs_need_only_numpy_and_show_every_digit(tmp_path):
    data = load_images("glyphs", tmp_path, validation_fraction=0.1)
    assert data.shape == (16, 16, 1)
    assert set(data.test.labels.tolist()) == set(range(10))
    assert len(data.test) == 1200


def test_digits_are_those_of_scikit_learn(tmp_path):
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    data = load_images("digits", tmp_path, validation_fraction=0.125)
    images = np.concatenate([part.images.numpy() for part in (data.train, data.validation, data.test)])
    labels = np.concatenate([part.labels.numpy() for part in (data.train, data.validation, data.test)])
    theirs = (bunch.images * (255 / 16)).round().astype(np.uint8)
    assert _pair(labels, images) == _pair(bunch.target, theirs)


def _pair(labels, images):
    """Labels with their images, in an order that does not depend on how a data set was cut."""
    return sorted(zip(labels.tolist(), images.reshape(len(images), -1).tolist(), strict=True))


def test_digits_fall_back_to_glyphs_without_scikit_learn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert load_images("digits", tmp_path, validation_fraction=0.1).name == "glyphs"
    assert "generated glyphs take the place of digits" in capsys.readouterr().err


@pytest.fixture(scope="module")
def picture_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for kind, colour in (("blue", 2), ("red", 0)):
        (folder / kind).mkdir()
        for number in range(10):
            pixels = random.integers(0, 60, (40, 50 + number, 3), np.uint8)
            pixels[..., colour] += 150
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    (folder / "red" / "notes.txt").write_text("not a picture")
    return folder


def test_folder_becomes_square_rgb_with_names_as_labels(picture_folder, tmp_path):
    data = load_images(f"folder:{picture_folder}", tmp_path, validation_fraction=0.25, resolution=32)
    assert data.labels == ("blue", "red")
    assert data.shape == (32, 32, 3)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        assert image.float().mean((0, 1)).argmax() == (2 if label == 0 else 0)


def test_folder_with_train_and_test_keeps_them(picture_folder, tmp_path):
    (tmp_path / "test").symlink_to(picture_folder)
    (tmp_path / "train").symlink_to(picture_folder)
    data = load_images(f"folder:{tmp_path}", tmp_path, validation_fraction=0.25)
    assert (len(data.train), len(data.validation), len(data.test)) == (15, 5, 20)
    assert data.shape == (64, 64, 3)


def test_unreadable_picture_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ValueError, match=r"a/broken.png is no readable picture"):
        load_images(f"folder:{tmp_path}", tmp_path, validation_fraction=0.1)


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="unknown data 'imagenet'; use one of digits, glyphs, mnist"):
        load_images("imagenet", tmp_path, validation_fraction=0.1)
    with pytest.raises(FileNotFoundError, match="expected one subfolder of pictures for each class"):
        load_images(f"folder:{tmp_path}/none", tmp_path, validation_fraction=0.1)
    with pytest.raises(ValueError, match=r"digits has 1797 images: 540 for testing.* takes 1257 for validation"):
        load_images("digits", tmp_path, validation_fraction=0.9999)


def test_validation_is_a_share_and_of_many_images_not_a_handful():
    assert count_validation(60_000, 1 / 30) == 2000
    assert count_validation(192, 1 / 30) == 38
    assert count_validation(1000, 1 / 30) == 50
    assert count_validation(1000, 0.2) == 200
    assert count_validation(3, 0.01) == 1


def test_the_same_images_are_decoded_once(picture_folder, tmp_path, monkeypatch):
    first = load_images(f"folder:{picture_folder}", tmp_path, validation_fraction=0.25, resolution=8)
    monkeypatch.setattr("training.images.datasets.load_folder", None)
    assert load_images(f"folder:{picture_folder}", tmp_path, validation_fraction=0.25, resolution=8) is first


def test_missing_torchvision_data_names_the_folder(tmp_path, monkeypatch):
    def refuse(self):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets.FashionMNIST, "download", refuse)
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \(no route to host\).*--data-root"):
        load_images("fashion-mnist", tmp_path, validation_fraction=0.1)


def test_reads_torchvision_layout(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 6), ("t10k", 3)):
        images = np.arange(count * 28 * 28, dtype=np.uint32).astype(np.uint8)
        header = b"\x00\x00\x08\x03" + np.array([count, 28, 28], ">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = np.arange(count, dtype=np.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            b"\x00\x00\x08\x01" + np.array([count], ">i4").tobytes() + labels.tobytes()
        )
    data = load_images("mnist", tmp_path, validation_fraction=0.3)
    assert data.shape == (28, 28, 1)
    assert data.test.labels.tolist() == [0, 1, 2]
    assert int(data.test.images[0, 0, 5, 0]) == 5
