"""Grids of images, and images between bytes and the networks' range."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from training.images.grids import arrange_grid, save_picture
from training.images.pixels import quantize_images, scale_images


def test_bytes_survive_the_way_into_the_networks_range_and_back():
    images = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    scaled = scale_images(images)
    assert scaled.shape == (1, 1, 16, 16)
    assert (float(scaled.min()), float(scaled.max())) == (-1, 1)
    assert torch.equal(quantize_images(scaled), images)


def test_a_grid_holds_every_image_row_by_row():
    images = np.arange(5, dtype=np.uint8).repeat(12).reshape(5, 2, 2, 3)
    grid = arrange_grid(images, 3)
    assert grid.shape == (2 * 4 + 2, 3 * 4 + 2, 3)
    assert [int(grid[2 + 4 * (k // 3), 2 + 4 * (k % 3), 0]) for k in range(5)] == [0, 1, 2, 3, 4]


def test_a_picture_is_written_enlarged(tmp_path):
    save_picture(np.array([[[0], [255]]], np.uint8), tmp_path / "a.png", enlarge=3)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (6, 3)
        assert np.asarray(picture)[0].tolist() == [0, 0, 0, 255, 255, 255]
