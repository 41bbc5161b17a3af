import numpy as np
import pytest
from PIL import Image

from services.client import AsyncClient, Client
from tests.services.client.open_inference_server import CORRUPT


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "shoe.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    return path


def sent(server):
    return [
        (tensor.name, tensor.datatype, list(tensor.shape)) for request in server.requests for tensor in request.inputs
    ]


def test_a_path_goes_encoded_and_untouched(server, picture):
    with Client(server.url) as client:
        (found,) = client.classify(picture, top=2)
    assert sent(server) == [("encoded", "BYTES", [1])]
    assert server.requests[0].raw_input_contents[0][4:] == picture.read_bytes()
    assert [(score.label, round(score.probability, 3)) for score in found.top] == [("label0", 0.5), ("label1", 0.333)]
    assert (found.label, found.probability, found.version, found.error) == ("label0", 0.5, "1-int8", "")


def test_one_array_and_many_of_one_size_go_as_they_are(server):
    grey = np.zeros((8, 8), np.uint8)
    with Client(server.url) as client:
        assert len(client.classify(grey)) == 1
        assert len(client.classify(np.zeros((5, 8, 8, 3), np.uint8))) == 5
        assert len(client.classify([grey, grey])) == 2
    assert sent(server) == [
        ("image", "UINT8", [1, 8, 8, 1]),
        ("image", "UINT8", [5, 8, 8, 3]),
        ("image", "UINT8", [2, 8, 8, 1]),
    ]


def test_mixed_forms_go_encoded_in_order(server, picture):
    forms = [picture, str(picture), picture.read_bytes(), Image.open(picture), np.zeros((3, 5), np.uint8)]
    with Client(server.url) as client:
        assert [found.error for found in client.classify(forms)] == [""] * 5
    assert sent(server) == [("encoded", "BYTES", [5])]


async def test_many_images_travel_in_several_calls_and_come_back_in_order(server):
    images = [bytes([1 + k % 255]) if k != 70 else CORRUPT for k in range(100)]
    async with AsyncClient(server.url) as client:
        found = await client.classify(images)
    assert sorted(len(request.inputs[0].shape) and request.inputs[0].shape[0] for request in server.requests) == [
        4,
        32,
        32,
        32,
    ]
    assert [index for index, one in enumerate(found) if one.error] == [70]
    assert (found[70].error, found[70].label, found[70].top) == ("not an image", "", ())


def test_no_images_are_no_calls(server):
    with Client(server.url) as client:
        assert client.classify([]) == []
    assert server.requests == []


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.zeros((8, 8), np.float32), "uint8 arrays from 0 to 255, got float32"), (np.zeros(8, np.uint8), r"got \[8\]")],
)
def test_arrays_that_are_no_images_are_refused_before_sending(server, array, message):
    with Client(server.url) as client, pytest.raises(ValueError, match=message):
        client.classify(array)
    assert server.requests == []


def test_a_missing_file_is_named(server):
    with Client(server.url) as client, pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        client.classify("nothing.png")
