from __future__ import annotations

import pytest
import torch

from training.images.augmentation import TrainingBatches, fit_batch_size
from training.images.splits import Split

CPU = torch.device("cpu")


def make_split(count=12, size=8):
    images = torch.randint(
        0, 256, (count, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Split(images, torch.arange(count))


def test_an_epoch_shows_every_image_once_in_a_new_order():
    batches = TrainingBatches(make_split(), batch_size=4, seed=0, device=CPU)
    epochs = [torch.cat([batches.at(step)[1] for step in range(start, start + 3)]) for start in (0, 3)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert not torch.equal(*epochs)


def test_a_batch_depends_on_its_step_alone():
    options = {"batch_size": 4, "seed": 5, "device": CPU, "shift_px": 2, "flip": True, "cutout_px": 3}
    images, labels = TrainingBatches(make_split(), **options).at(7)
    used = TrainingBatches(make_split(), **options)
    for step in range(7):
        used.at(step)
    again, labels_again = used.at(7)
    assert torch.equal(images, again)
    assert torch.equal(labels, labels_again)


def test_without_changes_images_arrive_as_they_are():
    split = make_split()
    images, labels = TrainingBatches(split, batch_size=4, seed=0, device=CPU).at(0)
    assert torch.equal(images, split.images[labels])


def test_shifts_are_crops_of_the_reflected_image():
    split = make_split()
    batches = TrainingBatches(split, batch_size=12, seed=0, device=CPU, shift_px=2)
    images, labels = batches.at(0)
    moved = 0
    for image, label in zip(images, labels, strict=True):
        padded = batches.padded[label]
        crops = [padded[y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
        assert any(torch.equal(image, crop) for crop in crops)
        moved += not torch.equal(image, split.images[label])
    assert moved > 6
    assert torch.equal(batches.padded[:, 2:-2, 2:-2], split.images)
    assert torch.equal(batches.padded[:, 1, 2:-2], split.images[:, 1])


def test_mirroring_alternates_from_epoch_to_epoch():
    split = make_split()
    batches = TrainingBatches(split, batch_size=12, seed=0, device=CPU, flip=True)
    mirrored = []
    for epoch in range(3):
        images, labels = batches.at(epoch)
        is_mirrored = torch.zeros(12, dtype=torch.bool)
        for image, label in zip(images, labels, strict=True):
            is_mirrored[label] = torch.equal(image, split.images[label].flip(1))
            assert is_mirrored[label] or torch.equal(image, split.images[label])
        mirrored.append(is_mirrored)
    assert torch.equal(mirrored[0], ~mirrored[1])
    assert torch.equal(mirrored[0], mirrored[2])
    assert 0 < mirrored[0].sum() < 12


def test_cutout_covers_one_square_with_the_mean_colour():
    split = make_split()
    batches = TrainingBatches(split, batch_size=12, seed=0, device=CPU, cutout_px=3)
    images, labels = batches.at(0)
    for image, label in zip(images, labels, strict=True):
        changed = (image != split.images[label]).any(2)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert rows.max() - rows.min() <= 2
        assert columns.max() - columns.min() <= 2
        assert (image[changed] == batches.fill).all()


def test_refuses_a_batch_larger_than_the_data():
    with pytest.raises(ValueError, match="batch_size 13 is larger than the training data of 12 images"):
        TrainingBatches(make_split(), batch_size=13, seed=0, device=CPU)


def test_a_batch_size_is_lowered_to_eight_steps_an_epoch_and_no_further_than_eight_images():
    assert fit_batch_size(500, 58_000) == 500
    assert fit_batch_size(50, 1100) == 50
    assert fit_batch_size(500, 160) == 20
    assert fit_batch_size(500, 30) == 8
    assert fit_batch_size(500, 5) == 5
