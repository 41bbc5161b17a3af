"""The handler around a stand-in program: images of images, and files of them on request."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.device import Cpu
from handlers.image_translator import ImageTranslatorHandler


def paint(values):
    """Keep the grey image as red, and its negative as green."""
    (images,) = values
    return [np.concatenate([images, 255 - images, np.zeros_like(images)], 3)]


@pytest.fixture
def handler():
    manifest = {
        "handler_options": {"labels": [], "height": 2, "width": 2, "channels": 1, "max_pixels": 100},
        "programs": {},
        "inputs": [{"name": "image"}, {"name": "encoded"}],
        "outputs": [{"name": "image"}, {"name": "encoded"}],
        "default_outputs": ["image"],
    }
    made = ImageTranslatorHandler(manifest, Path(), Cpu())
    made.programs = {"main": paint}
    return made


def test_pixels_come_back_in_the_other_style(handler):
    found = handler.infer({"image": np.full((3, 2, 2, 1), 200, np.uint8)}, {}).arrays
    assert list(found) == ["image"]
    assert found["image"].shape == (3, 2, 2, 3)
    assert found["image"][2, 1, 1].tolist() == [200, 55, 0]


def test_files_are_made_grey_and_come_back_as_files_and_a_bad_one_fails_alone(handler):
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(file, "PNG")
    files = np.array([file.getvalue(), b"no image"], np.object_)
    found = handler.infer({"encoded": files}, {}, ["encoded"])
    assert found.row_errors == [None, "not a PNG or JPEG file (8 bytes)"]
    assert found.arrays["encoded"][1] == b""
    with Image.open(io.BytesIO(found.arrays["encoded"][0])) as picture:
        assert picture.getpixel((0, 0)) == (76, 179, 0)  # the luminance of red is 76
