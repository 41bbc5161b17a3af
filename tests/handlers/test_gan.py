"""The image generator's handler, with a program whose pixels show what it was given."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.device import Cpu
from handlers.gan import GanHandler
from model_store.latents import draw_classes, draw_latents

SIZE = 6


class Shown(torch.nn.Module):
    """Pixels: the latent's values scaled to bytes, and in the last column the label."""

    def forward(self, latents, labels):
        values = (latents * 30 + 128).clamp(0, 255).round().to(torch.uint8)
        return torch.cat([values, labels[:, None].to(torch.uint8)], 1)[:, None, :, None]


class ShownUnlabelled(torch.nn.Module):
    def forward(self, latents):
        return (latents * 30 + 128).clamp(0, 255).round().to(torch.uint8)[:, None, :, None]


def make_handler(folder, labels):
    module = Shown() if labels else ShownUnlabelled()
    rows = torch.export.Dim("rows", min=1, max=64)
    example = (torch.zeros(4, SIZE), torch.zeros(4, dtype=torch.int64)) if labels else (torch.zeros(4, SIZE),)
    program = torch.export.export(module, example, dynamic_shapes=tuple({0: rows} for _ in example))
    torch.export.save(program, folder / "main.pt2")
    manifest = {
        "handler_options": {"labels": labels, "latent_size": SIZE},
        "programs": {"main": "main.pt2"},
        "inputs": [{"name": name} for name in ("seed", "latent", "label", "label_name")],
        "outputs": [{"name": "image"}, {"name": "encoded"}],
        "default_outputs": ["image"],
    }
    return GanHandler(manifest, folder, Cpu())


@pytest.fixture(scope="module")
def handler(tmp_path_factory):
    return make_handler(tmp_path_factory.mktemp("conditional"), ["Bag", "Ankle boot", "Sneaker"])


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    return make_handler(tmp_path_factory.mktemp("unconditional"), [])


def as_bytes(*names):
    array = np.empty(len(names), np.object_)
    array[:] = [name.encode() for name in names]
    return array


def test_a_seed_and_label_are_the_same_image_whatever_else_is_in_the_batch(handler):
    alone = handler.infer({"seed": np.array([5]), "label": np.array([2])}, {}).arrays["image"][0]
    seeds, labels = np.arange(40), np.arange(40) % 3
    together = handler.infer({"seed": seeds, "label": labels}, {}).arrays["image"]
    np.testing.assert_array_equal(together[5], alone)
    assert alone[0, -1, 0] == 2


def test_a_seed_is_the_latent_that_everybody_can_compute(handler):
    latent = draw_latents([9], SIZE)
    by_latent = handler.infer({"latent": latent, "label": np.array([1])}, {}).arrays["image"]
    by_seed = handler.infer({"seed": np.array([9]), "label": np.array([1])}, {}).arrays["image"]
    np.testing.assert_array_equal(by_latent, by_seed)


def test_a_seed_beside_a_latent_draws_the_class_alone(handler):
    inputs = {"latent": draw_latents([1, 2], SIZE), "seed": np.array([9, 9])}
    images = handler.infer(inputs, {}).arrays["image"]
    labelled = {"latent": inputs["latent"], "label": draw_classes([9, 9], 3)}
    np.testing.assert_array_equal(images, handler.infer(labelled, {}).arrays["image"])


def test_labels_have_names_in_any_case(handler):
    names = as_bytes("sneaker", "ANKLE BOOT")
    images = handler.infer({"seed": np.array([1, 2]), "label_name": names}, {}).arrays["image"]
    assert images[:, 0, -1, 0].tolist() == [2, 1]


def test_without_a_label_the_seed_draws_one(handler):
    seeds = np.arange(60)
    first = handler.infer({"seed": seeds}, {}).arrays["image"][:, 0, -1, 0]
    second = handler.infer({"seed": seeds[::-1]}, {}).arrays["image"][:, 0, -1, 0]
    assert set(first.tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(first, second[::-1])


def test_a_wrong_label_fails_its_row_alone(handler):
    names = as_bytes("bag", "hat", "bag")
    outputs = handler.infer({"seed": np.array([1, 2, 3]), "label_name": names}, {})
    assert outputs.row_errors == [None, "label 'hat' does not exist; there are Bag, Ankle boot, Sneaker", None]
    assert not outputs.arrays["image"][1].any()
    assert outputs.arrays["image"][0].any()
    outputs = handler.infer({"seed": np.array([1, 2]), "label": np.array([0, 7])}, {})
    assert outputs.row_errors == [None, "label 7 does not exist; there are 0 to 2: Bag, Ankle boot, Sneaker"]


def test_truncation_bounds_what_a_seed_draws(handler):
    images = handler.infer({"seed": np.arange(64), "label": np.zeros(64, int)}, {"truncation": 0.5}).arrays["image"]
    assert np.abs(images[:, 0, :SIZE, 0].astype(int) - 128).max() <= 15


def test_a_generator_without_classes_needs_only_a_seed(unlabelled):
    outputs = unlabelled.infer({"seed": np.array([3, 4])}, {})
    assert outputs.arrays["image"].shape == (2, 1, SIZE, 1)
    assert not any(outputs.row_errors)


def test_png_files_come_on_request_and_hold_the_image(handler):
    inputs = {"seed": np.array([1, 2]), "label": np.array([0, 1])}
    assert list(handler.infer(inputs, {}).arrays) == ["image"]
    arrays = handler.infer(inputs, {}, ("image", "encoded")).arrays
    for image, file in zip(arrays["image"], arrays["encoded"], strict=True):
        with Image.open(io.BytesIO(file)) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image[:, :, 0])


def test_a_model_with_styles_is_told_how_near_to_their_own_they_are_to_be():
    manifest = {
        "handler_options": {"labels": ["a", "b"], "latent_size": SIZE, "has_styles": True},
        "programs": {},
        "inputs": [],
        "outputs": [{"name": "image"}],
        "default_outputs": [],
    }
    handler = GanHandler(manifest, Path(), Cpu())
    rows = {"seed": np.arange(2), "label": np.array([1, 0])}
    latents, closeness, labels = handler.decode(rows, {"closeness": 0.25}).arrays
    assert (latents.shape, closeness.dtype, closeness.tolist()) == ((2, SIZE), np.float32, [0.25, 0.25])
    assert labels.tolist() == [1, 0]
    assert handler.decode(rows, {}).arrays[1].tolist() == [1, 1]
