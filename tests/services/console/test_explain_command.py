"""The command `explain`, against a gateway of small models whose reasons are known."""

import json

import numpy as np
import pytest
from PIL import Image

from services.client import explain_cli
from services.client.explanation_picture import colour_places
from services.client.rest_client import RestClient
from tests.shell import run_as_shell


@pytest.fixture
def explain(world, monkeypatch, capsys):
    """Run the command as a shell would; gives exit status, stdout and stderr."""

    def run(*arguments, url=world.url):
        return run_as_shell(explain_cli.main, ["explain", *map(str, arguments), "--url", url], monkeypatch, capsys)

    return run


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (8, 8), 200).save(path)
    return path


def read_rows(printed):
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]


def test_an_images_places_are_told_and_drawn_beside_it(explain, image, tmp_path):
    status, printed, _ = explain("digits", image, image, "--label", "3", "--out", tmp_path / "why.png")
    assert status == 0
    assert "digits 2-eager" in printed
    first, second = read_rows(printed)
    assert first == second
    assert (first[0], first[1], first[3:]) == ("a.png", "3", ["+16.000", "-8.000", "0, 0: +0.500"])
    drawn = Image.open(tmp_path / "why.png")
    assert drawn.size == (448, 448)  # both images, 28 times as large, beside themselves
    plain, speaks_for, speaks_against = (drawn.getpixel(place) for place in ((10, 10), (234, 10), (234, 214)))
    assert plain == (200, 200, 200)
    assert speaks_for == pytest.approx((241, 130, 70), abs=2)
    assert speaks_against[2] > 200 > speaks_against[0]


def test_a_signals_samples_are_told_as_json_and_drawn(explain, tmp_path, world):
    (tmp_path / "a.csv").write_text("lead\n" + "\n".join(map(str, (9, 0, 0, 2, -1, 0, 0, 0, 0))))
    status, printed, _ = explain("beats", tmp_path / "a.csv", "--json", "--num-steps", 64, "--out", tmp_path / "a.png")
    (found,) = json.loads(printed)
    assert (status, found["signal"], found["label"]) == (0, "lead", "beating")
    assert found["probability"] == pytest.approx(1 - np.exp(-3))
    assert found["attribution"] == [0, 0, 2, -1, 0, 0, 0, 0]  # the last eight
    assert world.reasons.asked[-1] == {"method": "integrated-gradients", "num_steps": 64}
    drawn = Image.open(tmp_path / "a.png")
    assert [drawn.getpixel((40 + 80 * sample, 155)) for sample in (0, 2)] == [(255, 255, 255), (255, 106, 26)]


def test_a_texts_pieces_are_listed_with_what_each_counts(explain):
    status, printed, _ = explain("opinions", "a good room")
    assert status == 0
    assert read_rows(printed) == [["a", "+0.000"], ["good", "+1.000"], ["room", "+0.000"]]
    assert "opinions 1-eager: for 73.1%" in printed
    status, printed, _ = explain("novelist", "Once upon", "--json")
    (found,) = json.loads(printed)
    assert (found["text"], found["pieces"], found["attribution"]) == ("Once upon", ["Once", " upon"], [1, 1])


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("digits", "{image}", "--label", "ten"), 2, "digits knows no 'ten'; its labels are 0, 1"),
        (("digits", "nowhere.png"), 2, "No such file or directory: 'nowhere.png'"),
        (("digits", "{image}", "--method", "attention"), 1, "digits is not explained by attention, but by"),
        (("digits", "{image}", "--version", "9"), 1, "model digits has no version '9'; this server has"),
        (("faces", "{image}"), 1, "faces"),
        (("series", "a.csv"), 2, "series takes neither images, signals nor texts: nothing explains it"),
        (("beats", "a.csv", "b.csv"), 2, "give one file of signals, a column for each; got 2"),
        (("translator", "good morning"), 2, "translator tells itself what it looked at: infer translator TEXT --plot"),
        (("opinions", "good", "--out", "a.png"), 2, "what counts in a text is printed, not drawn"),
    ],
)
def test_what_cannot_be_explained_is_one_line_that_says_why(explain, image, arguments, status, why):
    ended, _, said = explain(*(each.format(image=image) for each in arguments))
    assert (ended, said.startswith("explain: "), why in said) == (status, True, True), said


def test_a_server_that_is_not_there_and_what_is_no_address_are_told(explain, image):
    assert explain("digits", image, url="127.0.0.1:9")[2].startswith("explain: nothing answers at http://127.0.0.1:9;")
    with pytest.raises(ValueError, match="is no host:port; give the REST port, 8000 by default"):
        RestClient("http://here/v2")


def test_the_strongest_place_is_opaque_and_an_even_nothing_clear():
    assert colour_places(np.array([0.5, -0.25, 0], np.float32)).tolist() == [
        [255, 106, 26, 255],
        [45, 125, 255, round(255 * 0.5**0.7)],
        [255, 106, 26, 0],
    ]
    assert colour_places(np.zeros((1, 1), np.float32))[0, 0, 3] == 0
