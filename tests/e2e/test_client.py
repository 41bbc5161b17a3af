"""Our own client against the whole server."""

import asyncio
import json

import numpy as np
import pytest
from PIL import Image

from services.client import AsyncClient, BadRequestError, Client, UnknownModelError
from services.client.cli import main


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for name, level in (("dark", 5), ("middle", 128), ("bright", 250)):
        path = tmp_path / f"{name}.png"
        Image.new("RGB", (40, 30), (level, level, level)).save(path)
        paths.append(path)
    return paths


def test_classifies_files_arrays_and_pil_images_alike(served, pictures):
    arrays = np.stack([np.full((8, 6, 3), level, np.uint8) for level in (5, 128, 250)])
    with Client(served.grpc) as client:
        for images in (pictures, arrays, [Image.open(path) for path in pictures]):
            found = client.classify(images, model="brightness", top=2)
            assert [one.label for one in found] == ["dark", "middle", "bright"]
            assert [len(one.top) for one in found] == [2, 2, 2]
            assert found[0].version == "1-eager"
        (best,) = client.classify(pictures[2], model="brightness")
        assert best.probability > 0.9


def test_two_classifiers_answer_under_their_own_names(served, pictures):
    with Client(served.grpc) as client:
        for model, label in (("brightness", "dark"), ("shades", "black")):
            assert client.metadata(model).kind == "classifier"
            assert client.classify(pictures[0], model=model)[0].label == label


def test_infer_finds_the_verb_of_a_second_name_by_its_kind(served, pictures, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["infer", "shades", str(pictures[2]), "--url", served.grpc, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)[0]["top"][0]["label"] == "white"


def test_a_corrupt_image_fails_alone(served, pictures):
    with Client(served.grpc) as client:
        found = client.classify([pictures[0], b"no image", pictures[2]], model="brightness")
    assert [one.label for one in found] == ["dark", "", "bright"]
    assert found[1].error


async def test_async_calls_are_answered_together(served):
    async with AsyncClient(served.grpc) as client:
        await client.wait_ready("scale")
        rows = [np.full((1, 4), k, np.float32) for k in range(50)]
        answers = await asyncio.gather(*(client.infer("scale", {"x": row}) for row in rows))
    assert [float(answer["y"][0, 0]) for answer in answers] == [2.0 * k for k in range(50)]


def test_metadata_and_errors_come_from_the_server(served):
    with Client(served.grpc) as client:
        metadata = client.metadata("scale")
        assert (metadata.versions, metadata.inputs[0].shape) == (("1-eager",), (-1, 4))
        assert metadata.kind == "tensor"
        with pytest.raises(UnknownModelError, match=r"scale"):
            client.metadata("unknown")
        with pytest.raises(BadRequestError) as caught:
            client.infer("scale", {"x": np.zeros((1, 5), np.float32)})
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)
