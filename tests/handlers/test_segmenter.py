"""The handler around a stand-in program: masks, what they cover, and labels where the program has them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.device import Cpu
from handlers.segmenter import SegmenterHandler

OUTPUTS = ("probabilities", "label", "mask", "area", "class")
LABELS = ("background", "dark", "bright")


def segment(values):
    """Call levels above 50 dark and above 150 bright; the label is sure to be dark."""
    (images,) = values
    mask = ((images[..., 0] > 50).astype(np.uint8) + (images[..., 0] > 150)).astype(np.uint8)
    return [mask, np.tile(np.float32([0.1, 0.7, 0.2]), (len(images), 1))]


def make_handler(outputs, program):
    manifest = {
        "handler_options": {"labels": LABELS, "height": 2, "width": 4, "channels": 3, "max_pixels": 100},
        "programs": {},
        "inputs": [{"name": "image"}, {"name": "encoded"}],
        "outputs": [{"name": name} for name in outputs],
        "default_outputs": [],
    }
    handler = SegmenterHandler(manifest, Path(), Cpu())
    handler.programs = {"main": program}
    return handler


@pytest.fixture
def handler():
    return make_handler(OUTPUTS, segment)


def halves():
    """An image, dark on the left and bright on the right, and one of nothing."""
    images = np.zeros((2, 2, 4, 3), np.uint8)
    images[0, :, 2:], images[0, 0, 0] = 200, 100
    return images


def test_masks_come_with_what_each_class_covers_and_its_name(handler):
    found = handler.infer({"image": halves()}, {}).arrays
    assert list(found) == list(OUTPUTS)
    assert found["mask"][0].tolist() == [[1, 0, 2, 2], [0, 0, 2, 2]]
    assert found["area"].dtype == np.float32
    assert found["area"].tolist() == [[3 / 8, 1 / 8, 4 / 8], [1, 0, 0]]
    assert found["class"].tolist() == [[b"background", b"dark", b"bright"]] * 2
    assert found["label"].tolist() == [b"dark"] * 2


def test_labels_are_ranked_on_request(handler):
    found = handler.infer({"image": halves()}, {"top_k": 2}, ["label", "probabilities"]).arrays
    assert found["label"].tolist() == [[b"dark", b"bright"]] * 2
    assert found["probabilities"][0].tolist() == pytest.approx([0.7, 0.2])


def test_a_program_without_labels_says_masks_alone():
    handler = make_handler(OUTPUTS[2:], lambda values: segment(values)[:1])
    assert list(handler.infer({"image": halves()}, {}).arrays) == ["mask", "area", "class"]
    assert list(handler.infer({"image": halves()}, {}, ["mask"]).arrays) == ["mask"]


def test_files_are_decoded_and_a_bad_one_fails_alone(handler):
    file = io.BytesIO()
    Image.fromarray(halves()[0]).save(file, "PNG")
    files = np.array([file.getvalue(), b"no image"], np.object_)
    found = handler.infer({"encoded": files}, {})
    assert found.arrays["mask"][0].tolist() == [[1, 0, 2, 2], [0, 0, 2, 2]]
    assert found.row_errors == [None, "not a PNG or JPEG file (8 bytes)"]
    assert not found.arrays["area"][1].any()
    assert found.arrays["class"][1].tolist() == [b""] * 3
