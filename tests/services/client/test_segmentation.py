"""`segment` and `infer segmenter` against a stand-in for the server's side of the conversation."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from services.client import AsyncClient, Client, cli
from services.client.segmentation import segment

NAMES = [b"background", b"[dark]", b"bright"]


def answer(request, inputs):
    """Say that the upper half of each image is bright; a file that is none fails."""
    rows = next(iter(inputs.values()))
    mask = np.zeros((len(rows), 4, 2), np.uint8)
    mask[:, :2] = 2
    bad = [isinstance(row, bytes) and not row.startswith(b"\x89PNG") for row in rows]
    return {
        "mask": mask,
        "area": np.tile(np.float32([0.5, 0, 0.5]), (len(rows), 1)),
        "class": np.array([NAMES] * len(rows), np.object_),
        "label": np.array([b"bright"] * len(rows), np.object_),
        "row_errors": np.array(["no image" if each else "" for each in bad], np.object_),
    }


def describe(response):
    response.properties["kind"] = "segmenter"
    response.outputs.add(name="mask", datatype="UINT8", shape=[-1, 4, 2])
    for name, datatype, shape in (("area", "FP32", [-1, 3]), ("class", "BYTES", [-1, 3]), ("label", "BYTES", [-1])):
        response.outputs.add(name=name, datatype=datatype, shape=shape)


@pytest.fixture
def segmenter(server):
    server.answers["segmenter"], server.descriptions["segmenter"] = answer, describe
    return server


def test_many_images_go_in_several_calls_and_come_back_as_masks_with_names(segmenter):
    with Client(segmenter.url) as client:
        found = client.perform(segment(np.zeros((40, 4, 2, 3), np.uint8)))
    assert sorted(list(request.inputs[0].shape) for request in segmenter.requests) == [[8, 4, 2, 3], [32, 4, 2, 3]]
    assert len(found) == 40
    assert found[39].mask.tolist() == [[2, 2], [2, 2], [0, 0], [0, 0]]
    assert found[39].classes == ("background", "[dark]", "bright")
    assert found[39].areas == {"background": 0.5, "[dark]": 0, "bright": 0.5}
    assert (found[39].label, found[39].version, found[39].error) == ("bright", "1-int8", "")


async def test_it_is_awaitable_and_a_bad_file_fails_alone(segmenter):
    async with AsyncClient(segmenter.url) as client:
        good, bad = await client.perform(segment([Image.new("L", (3, 3)), b"nothing"]))
    assert good.error == ""
    assert (bad.error, bad.classes, bad.areas, bad.label) == ("no image", (), {}, "")


def test_a_model_without_labels_is_not_asked_for_them(segmenter):
    def describe_masks(response):
        describe(response)
        del response.outputs[3]

    segmenter.descriptions["segmenter"] = describe_masks
    segmenter.answers["segmenter"] = lambda request, inputs: {
        name: array for name, array in answer(request, inputs).items() if name != "label"
    }
    with Client(segmenter.url) as client:
        (found,) = client.perform(segment(np.zeros((4, 2, 3), np.uint8)))
    assert found.label == ""
    assert {output.name for output in segmenter.requests[0].outputs} == {"mask", "area", "class", "row_errors"}


def test_a_model_of_another_kind_is_refused(segmenter):
    with Client(segmenter.url) as client, pytest.raises(ValueError, match="double makes no masks: it is no segmenter"):
        client.perform(segment(np.zeros((4, 2, 3), np.uint8), model="double"))


@pytest.fixture
def infer(segmenter, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["infer", "segmenter", *map(str, arguments), "--url", segmenter.url])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


def test_the_command_says_what_covers_each_image_and_writes_masks(infer, tmp_path):
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    status, captured = infer(tmp_path / "a.png", "--out", tmp_path / "masks")
    assert status == 0, captured.err
    (line,) = [line for line in captured.out.splitlines() if "a.png" in line]
    assert line.replace("│", " ").split() == ["a.png", "bright", "bright", "50.0%,", "background", "50.0%"]
    with Image.open(tmp_path / "masks" / "a.png") as mask:
        assert mask.mode == "P"
        assert np.asarray(mask).tolist() == [[2, 2], [2, 2], [0, 0], [0, 0]]
        assert mask.convert("RGB").getpixel((0, 0)) != mask.convert("RGB").getpixel((0, 3)) == (0, 0, 0)


def test_the_command_writes_json_and_failures_set_its_status(infer, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    status, captured = infer(tmp_path / "a.png", "--json", "--out", tmp_path)
    assert status == 1
    assert json.loads(captured.out)[0]["error"] == "no image"
    assert (tmp_path / "a.png").read_bytes() == b"nothing"


def test_images_of_one_name_would_overwrite_each_others_masks(infer, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("L", (2, 2)).save(tmp_path / folder / "x.png")
    status, captured = infer(tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", "--out", tmp_path)
    assert status == 2
    assert "masks are named as their images" in captured.err
