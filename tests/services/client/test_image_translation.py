"""`translate_images` and `infer image_translator` against a stand-in for the server's side of the conversation."""

import sys

import numpy as np
import pytest
from PIL import Image

from services.client import AsyncClient, Client, cli
from services.client.image_translation import translate_images


def answer(request, inputs):
    """Paint every image red; a file that is none fails."""
    rows = next(iter(inputs.values()))
    bad = [isinstance(row, bytes) and not row.startswith(b"\x89PNG") for row in rows]
    images = np.zeros((len(rows), 4, 2, 3), np.uint8)
    images[..., 0] = np.where(bad, 0, 255)[:, None, None]
    return {"image": images, "row_errors": np.array(["no image" if each else "" for each in bad], np.object_)}


def describe(response):
    response.properties["kind"] = "image_translator"
    response.inputs.add(name="image", datatype="UINT8", shape=[-1, 4, 2, 1])
    response.outputs.add(name="image", datatype="UINT8", shape=[-1, 4, 2, 3])


@pytest.fixture
def translator(server):
    server.answers["image_translator"], server.descriptions["image_translator"] = answer, describe
    return server


def test_many_images_go_in_several_calls_and_come_back_as_pictures(translator):
    with Client(translator.url) as client:
        found = client.perform(translate_images(np.zeros((40, 4, 2, 1), np.uint8)))
    assert sorted(list(request.inputs[0].shape) for request in translator.requests) == [[8, 4, 2, 1], [32, 4, 2, 1]]
    assert len(found) == 40
    assert (found[39].image.size, found[39].image.getpixel((0, 0))) == ((2, 4), (255, 0, 0))
    assert (found[39].version, found[39].error) == ("1-int8", "")


async def test_it_is_awaitable_and_a_bad_file_fails_alone(translator):
    async with AsyncClient(translator.url) as client:
        good, bad = await client.perform(translate_images([Image.new("L", (3, 3)), b"nothing"]))
    assert (good.error, bad.error) == ("", "no image")


def test_a_model_that_draws_from_seeds_is_refused(translator):
    with Client(translator.url) as client, pytest.raises(ValueError, match="double makes no images of images"):
        client.perform(translate_images(np.zeros((4, 2, 1), np.uint8), model="double"))


@pytest.fixture
def infer(translator, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["infer", "image_translator", *map(str, arguments), "--url", translator.url])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


def test_the_command_writes_images_by_the_names_of_the_given_ones(infer, tmp_path):
    for name in ("a", "b"):
        Image.new("L", (5, 5)).save(tmp_path / f"{name}.png")
    arguments = [tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out", "--grid", tmp_path / "grid.png"]
    status, captured = infer(*arguments)
    assert status == 0, captured.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "out" / "b.png") as image:
        assert (image.size, image.getpixel((1, 1))) == ((2, 4), (255, 0, 0))
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (10, 8)


def test_failures_are_named_and_set_the_status(infer, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    status, captured = infer(tmp_path / "a.png", "--out", tmp_path / "out")
    assert status == 1
    assert captured.err == f"{tmp_path / 'a.png'}: no image\n"
    assert not (tmp_path / "out").exists()


def test_images_of_one_name_would_overwrite_each_other(infer, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("L", (2, 2)).save(tmp_path / folder / "x.png")
    status, captured = infer(tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", "--out", tmp_path)
    assert status == 2
    assert "are named as the given ones" in captured.err
