"""Scenes, what is said of them, how they look, and folders of captioned pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from training.images.splits import Split
from training.text_to_image.captioned_folder import load_captioned_folder
from training.text_to_image.composition import compose_scenes
from training.text_to_image.data import load_data
from training.text_to_image.grammar import (
    ABOVE,
    ALL,
    BESIDE,
    COLOURS,
    LARGE,
    SMALL,
    Scenes,
    caption_scenes,
    draw_scenes,
    is_held_out,
)

NAMES = tuple("0123456789")


def make_scene(things, layout, paper):
    classes, colours = torch.tensor([things]).unbind(2)
    return Scenes(classes=classes, colours=colours, layouts=torch.tensor([layout]), papers=torch.tensor([paper]))


def say(things, layout, paper=0, seed=0):
    scene = make_scene(things, layout, paper)
    return caption_scenes(scene, NAMES, torch.Generator().manual_seed(seed))[0]


NOTHING = (10, len(COLOURS))


def test_captions_say_what_is_there_and_where():
    assert say([(3, 0), NOTHING], SMALL, 1) == "a small red 3 on grey"
    assert say([(7, 2), NOTHING], LARGE) == "a large blue 7 on black"
    assert say([(5, 1), (5, 1)], BESIDE, 2) == "two green 5s side by side on white"
    assert say([(5, 1), (5, 1)], ABOVE) == "two green 5s in a column on black"
    said = {say([(3, 0), (7, 2)], BESIDE, seed=seed) for seed in range(10)}
    assert said == {"a red 3 left of a blue 7 on black", "a blue 7 right of a red 3 on black"}
    said = {say([(3, 0), (7, 2)], ABOVE, seed=seed) for seed in range(10)}
    assert said == {"a red 3 above a blue 7 on black", "a blue 7 below a red 3 on black"}


def test_held_out_combinations_never_train_and_every_class_and_colour_does():
    random = torch.Generator().manual_seed(0)
    train, unseen = (draw_scenes(2000, 10, ALL, random, held_out=held_out) for held_out in (False, True))
    for scenes, wanted in ((train, False), (unseen, True)):
        there = scenes.classes < 10
        assert (is_held_out(scenes.classes[there], scenes.colours[there]) == wanted).all()
        assert torch.equal(there, scenes.colours < len(COLOURS))
        assert torch.equal(there[:, 1], scenes.layouts >= BESIDE)
    for values, count in ((train.classes, 10), (train.colours, len(COLOURS))):
        assert set(range(count)) <= set(values.flatten().tolist())
    assert is_held_out(*torch.cartesian_prod(torch.arange(10), torch.arange(6)).unbind(1)).sum() == 10


def test_things_lie_where_the_caption_says_in_their_colour():
    pool = Split(torch.full((10, 8, 8, 1), 255, dtype=torch.uint8), torch.arange(10))

    def compose(things, layout):
        return compose_scenes(make_scene(things, layout, 0), pool, 32, torch.Generator().manual_seed(3))[0].float()

    def find_centre(image, channel):
        inked = (image[..., channel] > 150) & (image.sum(2) < 400)
        rows, columns = inked.nonzero().unbind(1)
        return rows.float().mean().item(), columns.float().mean().item(), int(inked.sum())

    beside = compose([(3, 0), (7, 2)], BESIDE)
    (_, red_x, _), (_, blue_x, _) = find_centre(beside, 0), find_centre(beside, 2)
    assert red_x == pytest.approx(8, abs=2)
    assert blue_x == pytest.approx(24, abs=2)
    above = compose([(3, 0), (7, 2)], ABOVE)
    (red_y, *_), (blue_y, *_) = find_centre(above, 0), find_centre(above, 2)
    assert red_y == pytest.approx(8, abs=2)
    assert blue_y == pytest.approx(24, abs=2)
    small, large = (find_centre(compose([(3, 0), NOTHING], layout), 0)[2] for layout in (SMALL, LARGE))
    assert 220 <= small <= 400
    assert 680 <= large <= 1024


def test_the_parts_of_composed_scenes_are_the_same_each_time_and_say_what_is_on_them(tiny_recipe):
    data, again = (load_data("scenes", Path(), tiny_recipe) for _ in range(2))
    assert data.digest() == again.digest()
    assert data.shape == (16, 16, 3)
    assert [len(part) for part in (data.train, data.validation, data.test, data.unseen)] == [300, 30, 60, 60]
    classes, colours = data.unseen.things.unbind(2)
    assert is_held_out(classes[classes < 10], colours[classes < 10]).all()
    held_out = is_held_out(*data.judging.things[:, 0].unbind(1))
    assert 0.05 < held_out.float().mean() < 0.35  # who judges knows all combinations
    kind, colour = data.test.things[0, 0].tolist()
    assert f"{list(COLOURS)[colour]} {kind}" in data.test.captions[0][0]


def test_unknown_data_are_named(tiny_recipe):
    with pytest.raises(ValueError, match="unknown data 'photographs'; use one of things, scenes, folder:PATH"):
        load_data("photographs", Path(), tiny_recipe)


def write_pictures(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for level, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 12), (5 * level, 0, 0)).save(folder / name)


LINES = {
    "captions.txt": "image,caption\na.png,A dog, running .\na.png,An animal\nb.png,A cat\n",
    "Flickr8k.token.txt": "a.png#0\tA dog, running .\na.png#1\tAn animal\nb.png#0\tA cat\n",
    "metadata.jsonl": "\n".join(
        json.dumps(row)
        for row in (
            {"file_name": "a.png", "text": ["A dog, running .", "An animal"]},
            {"file_name": "b.png", "text": "A cat"},
        )
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_captions_are_found_in_the_layouts_in_which_they_come(name, tmp_path):
    write_pictures(tmp_path / "Images", ["a.png", "b.png"])
    (tmp_path / name).write_text(LINES[name])
    found = load_captioned_folder(tmp_path, 6)
    assert found.captions == (("A dog, running .", "An animal"), ("A cat",))
    assert found.images.shape == (2, 6, 6, 3)
    assert found.images[:, 0, 0, 0].tolist() == [0, 5]


def test_captions_lie_beside_the_pictures_as_those_of_birds_do(tmp_path):
    write_pictures(tmp_path / "images", ["wren/a.png", "crow/b.png"])
    for name, text in (("wren/a.txt", "a small bird\nit is brown\n"), ("crow/b.txt", "a black bird\n")):
        (tmp_path / "text" / name).parent.mkdir(parents=True)
        (tmp_path / "text" / name).write_text(text)
    assert load_captioned_folder(tmp_path, 6).captions == (("a black bird",), ("a small bird", "it is brown"))


def test_a_text_lies_beside_its_picture(tmp_path):
    write_pictures(tmp_path, ["part/a.png", "b.png", "c.png"])
    (tmp_path / "part" / "a.txt").write_text("a dog\nan animal\n")
    (tmp_path / "b.txt").write_text("a cat\n")
    found = load_captioned_folder(tmp_path, 6)
    assert found.captions == (("a cat",), ("a dog", "an animal"))
    assert found.images[:, 0, 0, 0].tolist() == [5, 0]


def write_part(folder, name, images, captions):
    content = {
        "info": {},
        "images": [{"id": number, "file_name": file} for number, file in images.items()],
        "annotations": [{"image_id": number, "caption": caption} for number, caption in captions],
    }
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / f"captions_{name}.json").write_text(json.dumps(content))


def test_captions_of_coco_are_those_of_the_parts_that_are_there(tmp_path):
    write_pictures(tmp_path / "val2017", ["1.png", "2.png"])
    write_part(tmp_path, "val2017", {7: "2.png", 4: "1.png"}, [(7, "A cat."), (4, "A dog."), (7, "An animal.\n")])
    write_part(tmp_path, "train2017", {1: "absent.png"}, [(1, "A cow.")])
    found = load_captioned_folder(tmp_path, 6)
    assert found.captions == (("A dog.",), ("A cat.", "An animal."))
    assert found.images[:, 0, 0, 0].tolist() == [0, 5]


def test_captions_of_coco_without_their_picture_are_named(tmp_path):
    (tmp_path / "images" / "val2017").mkdir(parents=True)
    write_part(tmp_path, "val2017", {7: "2.png"}, [(8, "A cat.")])
    with pytest.raises(ValueError, match=r"captions_val2017\.json: a caption is of image_id 8, which images does not"):
        load_captioned_folder(tmp_path, 6)
    write_part(tmp_path, "val2017", {7: "2.png"}, [(7, "A cat.")])
    with pytest.raises(FileNotFoundError, match=r"has a caption of images/val2017/2\.png, but no such picture"):
        load_captioned_folder(tmp_path, 6)
    (tmp_path / "annotations" / "captions_val2017.json").write_text("[]")
    with pytest.raises(ValueError, match="expected an object of images"):
        load_captioned_folder(tmp_path, 6)


def test_what_is_wrong_with_a_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no folder; expected pictures with captions\.txt"):
        load_captioned_folder(tmp_path / "none", 6)
    with pytest.raises(ValueError, match=r"has no captions; expected captions\.txt"):
        load_captioned_folder(tmp_path, 6)
    (tmp_path / "captions.txt").write_text("c.png,A cow\n")
    with pytest.raises(FileNotFoundError, match=r"has a caption of c\.png, but no such picture"):
        load_captioned_folder(tmp_path, 6)
    (tmp_path / "metadata.jsonl").write_text('{"file": "a"}\n')
    with pytest.raises(ValueError, match=r"metadata\.jsonl, line 1: expected file_name and text, got file"):
        load_captioned_folder(tmp_path, 6)


def test_a_folder_has_parts_but_nobody_knows_what_is_on_it(tiny_recipe, tmp_path):
    write_pictures(tmp_path / "own", [f"{number:02}.png" for number in range(40)])
    lines = [f"{number:02}.png,level {number}\n" for number in range(40)]
    (tmp_path / "own" / "captions.txt").write_text("".join(lines[:39]))
    with pytest.raises(ValueError, match="has 39 pictures with captions, too few to test with a 5th of them; give 40"):
        load_data("folder:own", tmp_path, tiny_recipe)
    (tmp_path / "own" / "captions.txt").write_text("".join(lines))
    data = load_data("folder:own", tmp_path, replace(tiny_recipe, validation_fraction=0.1))
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [26, 6, 8]
    assert (data.classes, data.unseen, list(data.tests)) == ((), None, ["seen"])
    for part in parts:
        assert [f"level {int(image[0, 0, 0]) // 5}" for image in part.images] == part.first_captions
    assert len({caption for part in parts for caption in part.first_captions}) == 40
