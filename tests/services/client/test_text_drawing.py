"""`draw_texts` and `infer text_to_image` against a stand-in for the server's side of the conversation."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from services.client import AsyncClient, Client, cli
from services.client.text_drawing import draw_texts


def answer(request, inputs):
    """Red of as many levels as the text has letters, green of as many as the seed says; an empty text fails."""
    texts, seeds = inputs["text"], inputs["seed"]
    images = np.zeros((len(texts), 4, 2, 3), np.uint8)
    images[..., 0] = np.array([len(text) for text in texts])[:, None, None]
    images[..., 1] = seeds[:, None, None]
    return {"image": images, "row_errors": np.array(["" if text else "no text" for text in texts], np.object_)}


@pytest.fixture
def artist(server):
    server.answers["text_to_image"] = answer
    return server


def test_each_text_is_drawn_from_as_many_seeds_in_several_calls(artist):
    with Client(artist.url) as client:
        found = client.perform(draw_texts(["a", "abc"], 20, seed=5, truncation=0.7))
    assert sorted(request.inputs[0].shape[0] for request in artist.requests) == [8, 32]
    assert [(each.text, each.seed) for each in found] == [
        (text, seed) for text in ("a", "abc") for seed in range(5, 25)
    ]
    assert [each.image.getpixel((0, 0)) for each in found[19:21]] == [(1, 24, 0), (3, 5, 0)]
    assert {request.parameters["truncation"].double_param for request in artist.requests} == {0.7}


async def test_it_is_awaitable_and_a_bad_text_fails_alone(artist):
    async with AsyncClient(artist.url) as client:
        good, bad = await client.perform(draw_texts(["a", ""]))
    assert (good.error, good.version, bad.error) == ("", "1-int8", "no text")


def test_nothing_to_draw_is_refused(artist):
    with Client(artist.url) as client:
        with pytest.raises(ValueError, match="there is no text to draw"):
            client.perform(draw_texts([]))
        with pytest.raises(ValueError, match="n must be at least 1, got 0"):
            client.perform(draw_texts("a", 0))


@pytest.fixture
def infer(artist, monkeypatch, capsys):
    def call(*arguments, typed=""):
        monkeypatch.setattr(sys, "argv", ["infer", "text_to_image", *map(str, arguments), "--url", artist.url])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


def test_the_command_writes_a_row_for_each_line_it_is_given(infer, tmp_path):
    status, captured = infer("--n", 3, "--grid", tmp_path / "grid.png", typed="a\n\nabc\n")
    assert status == 0, captured.err
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (3 * 4 + 2, 2 * 6 + 2)
        assert [grid.getpixel((2 + 4 * column, 2 + 6 * row))[:2] for row in (0, 1) for column in (0, 2)] == [
            *((1, 0), (1, 2)),
            *((3, 0), (3, 2)),
        ]


def test_failures_are_named_and_set_the_status(infer, tmp_path):
    status, captured = infer("", "a", "--out", tmp_path / "out")
    assert status == 1
    assert captured.err == "'': no text\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0000.png"]


def test_without_a_place_for_the_images_nothing_is_drawn(infer, artist):
    status, captured = infer("a")
    assert status == 2
    assert "say where the images go" in captured.err
    assert artist.requests == []
