"""The handler around a stand-in program: what comes back, and which rows are unusual."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.autoencoder import AutoencoderHandler
from handlers.device import Cpu

OUTPUTS = ("reconstruction", "code", "deviation", "unusual")


@pytest.fixture
def handler():
    """Of an image the first level comes back everywhere."""

    def reconstruct(values):
        (images,) = values
        code = images[:, :1, 0, 0].astype(np.float32)
        drawn = np.broadcast_to(images[:, :1, :1], images.shape).copy()
        return [drawn, code, np.abs(images.astype(np.float32) - drawn).max((1, 2, 3))]

    manifest = {
        "handler_options": {"threshold": 20.0, "height": 2, "width": 2, "channels": 1, "max_pixels": 100},
        "programs": {},
        "inputs": [{"name": "image"}, {"name": "encoded"}],
        "outputs": [{"name": name} for name in OUTPUTS],
        "default_outputs": [],
    }
    handler = AutoencoderHandler(manifest, Path(), Cpu())
    handler.programs = {"main": reconstruct}
    return handler


IMAGES = np.array([[[5, 5], [5, 25]], [[5, 5], [5, 26]]], np.uint8)[..., None]


def test_rows_beyond_the_threshold_are_unusual(handler):
    found = handler.infer({"image": IMAGES}, {}).arrays
    assert list(found) == list(OUTPUTS)
    assert found["reconstruction"].tolist() == np.full((2, 2, 2, 1), 5).tolist()
    assert found["deviation"].tolist() == [20, 21]
    assert found["unusual"].tolist() == [False, True]


def test_a_request_may_name_another_threshold(handler):
    assert handler.infer({"image": IMAGES}, {"threshold": 19.5}, ["unusual"]).arrays["unusual"].all()


def test_a_bad_file_fails_alone(handler):
    file = io.BytesIO()
    Image.fromarray(IMAGES[1, :, :, 0]).save(file, "PNG")
    found = handler.infer({"encoded": np.array([b"no image", file.getvalue()], np.object_)}, {})
    assert found.row_errors == ["not a PNG or JPEG file (8 bytes)", None]
    assert found.arrays["unusual"].tolist() == [False, True]
    assert found.arrays["code"].tolist() == [[0], [5]]
