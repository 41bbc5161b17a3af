import numpy as np
import pytest
import torch

from training.segmenter.baselines import cut_by_threshold, find_threshold
from training.segmenter.scenes import VOID
from training.segmenter.scores import (
    count_pixels,
    dice_by_class,
    foreground_iou,
    iou_by_class,
    mean_dice,
    mean_iou,
)

TRUTH = np.array([[[0, 0, 1, 1], [0, 0, 1, VOID]]], np.uint8)
FOUND = np.array([[[0, 1, 1, 1], [0, 0, 2, 2]]], np.uint8)


def test_pixels_of_both_masks_are_counted_by_class_and_void_ones_are_not():
    assert count_pixels(FOUND, TRUTH, 4)[0].tolist() == [[3, 3, 4], [2, 3, 3], [0, 1, 0], [0, 0, 0]]


def test_iou_and_dice_leave_out_classes_that_nobody_sees():
    counts = count_pixels(FOUND, TRUTH, 4)
    assert iou_by_class(counts)[:3] == pytest.approx([3 / 4, 2 / 4, 0])
    assert dice_by_class(counts)[:3] == pytest.approx([6 / 7, 4 / 6, 0])
    assert np.isnan(iou_by_class(counts)[3])
    assert mean_iou(counts) == pytest.approx((3 / 4 + 2 / 4) / 3)
    assert mean_dice(counts) == pytest.approx((6 / 7 + 4 / 6) / 3)


def test_the_foreground_counts_whatever_its_class():
    assert foreground_iou(count_pixels(FOUND, TRUTH, 4)) == pytest.approx(3 / 4)
    assert foreground_iou(count_pixels(TRUTH, TRUTH, 2)) == 1
    nothing = np.zeros_like(TRUTH)
    assert foreground_iou(count_pixels(nothing, TRUTH, 2)) == 0
    assert foreground_iou(count_pixels(nothing, nothing, 2)) == 1


def test_figures_are_those_of_all_images_together():
    counts = count_pixels(np.concatenate([FOUND, TRUTH % VOID]), np.concatenate([TRUTH, TRUTH]), 3)
    assert iou_by_class(counts)[0] == pytest.approx((3 + 4) / (4 + 4))


def test_the_threshold_lies_between_two_groups_and_the_smaller_one_is_cut_out():
    image = np.full((6, 6), 40, np.uint8)
    image[:2, :3] = 200
    assert 40 <= find_threshold(image) < 200
    both = torch.from_numpy(np.stack([image, 255 - image]))[..., None].expand(-1, -1, -1, 3)
    cut = cut_by_threshold(both, 4)
    assert cut.dtype == np.uint8
    assert (cut == 4 * (image == 200)).all()


def test_an_image_of_one_level_has_nothing_to_cut_out():
    assert not cut_by_threshold(torch.full((1, 4, 4, 3), 90, dtype=torch.uint8), 1).any()
