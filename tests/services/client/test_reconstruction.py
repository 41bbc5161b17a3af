"""`reconstruct` and `infer autoencoder` against a stand-in for the server's side of the conversation."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from services.client import AsyncClient, Client, cli
from services.client.reconstruction import reconstruct


def answer(request, inputs):
    """Say that each second image deviates by 40, above a threshold of 30 or the one that was sent."""
    rows = next(iter(inputs.values()))
    deviation = np.float32([40 * (row % 2) for row in range(len(rows))])
    sent = request.parameters.get("threshold")
    bad = [isinstance(row, bytes) and not row.startswith(b"\x89PNG") for row in rows]
    return {
        "reconstruction": np.full((len(rows), 4, 2, 1), 9, np.uint8),
        "code": np.tile(np.float32([1, 2, 3]), (len(rows), 1)),
        "deviation": deviation,
        "unusual": deviation > (30 if sent is None else sent.double_param),
        "row_errors": np.array(["no image" if each else "" for each in bad], np.object_),
    }


def describe(response):
    response.properties["kind"] = "autoencoder"
    response.outputs.add(name="reconstruction", datatype="UINT8", shape=[-1, 4, 2, 1])
    for name, datatype, shape in (("code", "FP32", [-1, 3]), ("deviation", "FP32", [-1]), ("unusual", "BOOL", [-1])):
        response.outputs.add(name=name, datatype=datatype, shape=shape)


@pytest.fixture
def autoencoder(server):
    server.answers["autoencoder"], server.descriptions["autoencoder"] = answer, describe
    return server


def test_many_images_go_in_several_calls_and_come_back_with_codes(autoencoder):
    with Client(autoencoder.url) as client:
        found = client.perform(reconstruct(np.zeros((40, 4, 2, 1), np.uint8)))
    assert sorted(list(request.inputs[0].shape) for request in autoencoder.requests) == [[8, 4, 2, 1], [32, 4, 2, 1]]
    assert len(found) == 40
    assert found[1].image.tolist() == np.full((4, 2, 1), 9).tolist()
    assert found[1].code.tolist() == [1, 2, 3]
    assert (found[1].deviation, found[1].is_unusual, found[0].is_unusual) == (40, True, False)
    assert (found[1].version, found[1].error) == ("1-int8", "")


async def test_it_is_awaitable_and_a_bad_file_fails_alone(autoencoder):
    async with AsyncClient(autoencoder.url) as client:
        good, bad = await client.perform(reconstruct([Image.new("L", (3, 3)), b"nothing"], threshold=50))
    assert (good.error, bad.error) == ("", "no image")
    assert autoencoder.requests[0].parameters["threshold"].double_param == 50
    assert not bad.is_unusual


def test_a_model_of_another_kind_is_refused(autoencoder):
    with Client(autoencoder.url) as client, pytest.raises(ValueError, match="double reconstructs nothing"):
        client.perform(reconstruct(np.zeros((4, 2, 1), np.uint8), model="double"))


@pytest.fixture
def infer(autoencoder, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["infer", "autoencoder", *map(str, arguments), "--url", autoencoder.url])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


def test_the_command_says_which_images_are_unusual_and_writes_them_and_their_codes(infer, tmp_path):
    for name in ("a", "b"):
        Image.new("L", (5, 5)).save(tmp_path / f"{name}.png")
    out, codes = tmp_path / "out", tmp_path / "codes.npy"
    status, captured = infer(tmp_path / "a.png", tmp_path / "b.png", "--out", out, "--codes", codes)
    assert status == 0, captured.err
    lines = [line.replace("│", " ").split() for line in captured.out.splitlines() if ".png" in line]
    assert lines == [["a.png", "0.0"], ["b.png", "40.0", "yes"]]
    assert np.load(codes).tolist() == [[1, 2, 3]] * 2
    with Image.open(out / "b.png") as image:
        assert np.asarray(image).tolist() == [[9, 9]] * 4


def test_the_command_writes_json_and_failures_set_its_status(infer, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    status, captured = infer(tmp_path / "a.png", "--json")
    assert status == 1
    assert json.loads(captured.out)[0]["error"] == "no image"
