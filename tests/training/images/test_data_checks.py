"""Faults of labelled images are found, counted and told before a training."""

from __future__ import annotations

from dataclasses import replace

import torch

from training.images.data_checks import announce, find_faults
from training.images.splits import ImageData, Split

GENERATOR = torch.Generator().manual_seed(1)


def make_split(count: int) -> Split:
    images = torch.randint(256, (count, 4, 4, 1), generator=GENERATOR, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 2)


DATA = ImageData(
    name="dots", labels=("even", "odd"), train=make_split(20), validation=make_split(4), test=make_split(8)
)


def put(split: Split, images=None, labels=None) -> Split:
    """A split with its first rows replaced."""
    new_images, new_labels = split.images.clone(), split.labels.clone()
    if images is not None:
        new_images[: len(images)] = images
    if labels is not None:
        new_labels[: len(labels)] = labels
    return Split(new_images, new_labels)


def test_sound_data_has_no_faults(capsys):
    assert announce(DATA) == []
    assert capsys.readouterr().err == "dots: 20 training, 4 validation, 8 test images of 4×4×1\n"


def test_test_images_that_train_are_counted(capsys):
    findings = announce(replace(DATA, test=put(DATA.test, DATA.train.images[:2], DATA.train.labels[:2])))
    assert findings == [
        "2 of 8 test images (25.00%) are training images too, bit for bit: figures may be too good by as much"
    ]
    assert f"note: {findings[0]}" in capsys.readouterr().err


def test_an_image_with_two_labels_is_found_within_a_part():
    twice = DATA.train.images[:2].clone()
    twice[1] = twice[0]
    assert find_faults(replace(DATA, train=put(DATA.train, twice))) == [
        "1 images occur with more than one label: no answer to them is always right"
    ]


def test_blank_images_and_absent_classes_are_found():
    blank = torch.full((3, 4, 4, 1), 7, dtype=torch.uint8) + torch.arange(3, dtype=torch.uint8)[:, None, None, None]
    faulty = replace(DATA, train=put(DATA.train, blank), test=put(DATA.test, labels=torch.zeros(8, dtype=torch.int64)))
    assert find_faults(faulty) == ["3 images are of a single colour", "no test image of odd"]
