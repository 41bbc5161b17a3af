import io
import json

import numpy as np
import pytest
from PIL import Image

from handlers.archive import open_handler
from handlers.direct import DirectCallError, answer_direct


@pytest.fixture(scope="module")
def handler(content):
    return open_handler(content, "cpu")


@pytest.fixture
def ask(handler):
    return lambda **request: json.loads(answer_direct(handler, request))


def png(value):
    file = io.BytesIO()
    Image.new("L", (6, 8), value).save(file, "PNG")
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return bytearray(file.getvalue())


def test_image_bytes_answer_readable_json(ask):
    answer = ask(body=bytearray(png(255)))
    assert answer["label"] == ["bright"]
    assert len(answer["probabilities"][0]) == 3


def test_parameters_come_from_the_query(ask):
    assert ask(body=png(255), top_k=b"2")["label"] == [["bright", "middle"]]
    with pytest.raises(DirectCallError, match="top_k is 'two'; it must be a whole number"):
        ask(body=png(255), top_k="two")


def test_npy_brings_one_row_or_many(ask):
    image = np.full((8, 6, 3), 255, np.uint8)
    assert ask(data=npy(image))["label"] == ["bright"]
    assert ask(body=npy(np.stack([image, image * 0])))["label"] == ["bright", "dark"]


def test_json_brings_inputs_by_name_and_parameters(ask):
    image = np.zeros((1, 8, 6, 3), int).tolist()
    assert ask(body={"image": image, "parameters": {"top_k": 1}})["label"] == [["dark"]]
    assert ask(body=json.dumps(image).encode())["label"] == ["dark"]


@pytest.mark.parametrize("named", [True, False])
def test_json_is_taken_in_the_form_that_the_front_door_takes(ask, named):
    image = np.zeros((1, 8, 6, 3), int).tolist()
    body = {"inputs": {"image": image} if named else image, "parameters": {"top_k": 1}}
    assert ask(body=json.dumps(body).encode())["label"] == [["dark"]]


@pytest.mark.parametrize("value", [0, 4, "7"])
def test_bounds_of_parameters_are_kept(ask, value):
    with pytest.raises(DirectCallError, match="the range is 1 to 3"):
        ask(body=png(255), top_k=str(value))
    with pytest.raises(DirectCallError, match="the range is 1 to 3"):
        ask(body={"image": np.zeros((1, 8, 6, 3), int).tolist(), "parameters": {"top_k": int(value)}})


def test_unknown_parameters_of_a_json_body_are_refused(ask):
    with pytest.raises(DirectCallError, match="no parameter 'topk'; this model's parameters: top_k"):
        ask(body={"image": np.zeros((1, 8, 6, 3), int).tolist(), "parameters": {"topk": 1}})


def test_corrupt_images_answer_why(ask):
    assert "corrupt" in ask(body=png(3)[:44])["row_errors"][0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "as the body of the request"),
        (b"\xfe\xfd", "neither PNG, JPEG, .npy, JSON nor UTF-8"),
        (b"{", "no valid JSON"),
        (b'{"picture": 1}', r"some of \['encoded', 'image'\]; got \['picture'\]"),
        (b'{"inputs": {"picture": 1}}', r"some of \['encoded', 'image'\]; got \['picture'\]"),
        (b'{"inputs": {"image": 1}, "image": 1}', r"got \['image', 'inputs'\]"),
        (b'{"inputs": 5}', r"is \{\"inputs\": \{name: rows\}"),
        (b'{"image": "x"}', "takes numbers"),
        (b'{"image": [[1, 2], [3]]}', "takes numbers"),
        (b'{"image": [1, 2]}', r"UINT8 of shape \[-1, 8, 6, 3\], got shape \[2\]"),
        (b'{"encoded": 5}', "takes strings"),
        (b"\x93NUMPY\x01\x00", "cannot be read"),
    ],
)
def test_says_what_cannot_be_answered(ask, body, message):
    with pytest.raises(DirectCallError, match=message):
        ask(body=body)


def test_refuses_more_rows_than_a_batch_holds(ask):
    with pytest.raises(DirectCallError, match="17 rows; send at most 16"):
        ask(body=npy(np.zeros((17, 8, 6, 3), np.uint8)))
