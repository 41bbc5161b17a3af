import io

import numpy as np
import pytest
from PIL import Image

from handlers.archive import open_handler


@pytest.fixture(scope="module")
def handler(content):
    return open_handler(content, "cpu")


def levels(*values):
    return np.stack([np.full((8, 6, 3), value, np.uint8) for value in values])


def png(value, size=(6, 8)):
    file = io.BytesIO()
    Image.new("RGB", size, (value,) * 3).save(file, "PNG")
    return file.getvalue()


def files(*data):
    array = np.empty(len(data), object)
    array[:] = data
    return array


def test_names_the_most_probable_class(handler):
    outputs = handler.infer({"image": levels(0, 255, 128)}, {})
    assert outputs.arrays["label"].tolist() == [b"dark", b"bright", b"middle"]
    assert outputs.arrays["probabilities"].shape == (3, 3)
    np.testing.assert_allclose(outputs.arrays["probabilities"].sum(1), 1, rtol=1e-5)
    assert not any(outputs.row_errors)


def test_top_k_orders_classes_by_probability(handler):
    outputs = handler.infer({"image": levels(20, 240)}, {"top_k": 2})
    assert outputs.arrays["label"].tolist() == [[b"dark", b"middle"], [b"bright", b"middle"]]
    assert outputs.arrays["probabilities"].shape == (2, 2)
    assert (np.diff(outputs.arrays["probabilities"]) <= 0).all()
    everything = handler.infer({"image": levels(20, 240)}, {"top_k": 99})
    assert everything.arrays["label"].shape == (2, 3)


def test_makes_only_requested_outputs(handler):
    assert list(handler.infer({"image": levels(0)}, {}, ("label",)).arrays) == ["label"]
    assert list(handler.infer({"image": levels(0)}, {"top_k": 1}, ("probabilities",)).arrays) == ["probabilities"]


def test_files_and_pixels_give_the_same_answer(handler):
    from_files = handler.infer({"encoded": files(png(10), png(250, size=(60, 70)))}, {}).arrays
    from_pixels = handler.infer({"image": levels(10, 250)}, {}).arrays
    np.testing.assert_array_equal(from_files["probabilities"], from_pixels["probabilities"])


def test_a_corrupt_file_fails_its_row_alone(handler):
    outputs = handler.infer({"encoded": files(png(0), b"no image", png(255))}, {})
    assert outputs.arrays["label"].tolist() == [b"dark", b"", b"bright"]
    assert outputs.arrays["probabilities"][1].tolist() == [0, 0, 0]
    assert outputs.row_errors == [None, "not a PNG or JPEG file (8 bytes)", None]


def test_all_files_may_be_corrupt(handler):
    outputs = handler.infer({"encoded": files(b"1", b"2")}, {"top_k": 2})
    assert outputs.arrays["label"].tolist() == [[b"", b""], [b"", b""]]
    assert outputs.arrays["probabilities"].tolist() == [[0, 0], [0, 0]]
    assert all(outputs.row_errors)
