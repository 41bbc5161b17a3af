"""The diffusion model's handler, with a program whose estimates show what it was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handlers.device import Cpu
from handlers.diffusion import DiffusionHandler
from model_store.latents import draw_latents

SHAPE = (2, 3, 2)
SIZE = 12
LABELS = ["Bag", "Ankle boot", "Sneaker"]


class Shown(torch.nn.Module):
    """Estimates an image of the level label / 4 that keeps a little of what it sees."""

    def forward(self, noisy, log_snr, labels):
        return noisy * 0.01 + labels[:, None] / 4


@pytest.fixture(scope="module")
def handler(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    rows = torch.export.Dim("rows", min=1, max=64)
    example = (torch.zeros(4, SIZE), torch.zeros(4), torch.zeros(4, dtype=torch.int64))
    program = torch.export.export(Shown(), example, dynamic_shapes=tuple({0: rows} for _ in example))
    torch.export.save(program, folder / "main.pt2")
    options = {"labels": LABELS, "latent_size": SIZE, "shape": SHAPE}
    options |= {"noise_schedule": "cosine", "steps": 4, "guidance": 1.0, "sampler": "dpm-solver++"}
    manifest = {
        "handler_options": options,
        "programs": {"main": "main.pt2"},
        "inputs": [{"name": name} for name in ("seed", "latent", "label", "label_name")],
        "outputs": [{"name": "image"}, {"name": "encoded"}],
        "default_outputs": ["image"],
    }
    return DiffusionHandler(manifest, folder, Cpu())


@pytest.fixture
def calls(handler, monkeypatch):
    """The arrays that the program gets, call by call."""
    seen, program = [], handler.programs["main"]
    monkeypatch.setitem(handler.programs, "main", lambda values: seen.append(values) or program(values))
    return seen


def level(value):
    return round((value + 1) * 127.5)


def test_an_image_follows_from_its_own_seed_and_label(handler):
    seeds, labels = np.arange(20), np.arange(20) % 3
    together = handler.infer({"seed": seeds, "label": labels}, {}).arrays["image"]
    assert together.shape == (20, *SHAPE)
    assert together.dtype == np.uint8
    for row in (0, 7, 19):
        alone = handler.infer({"seed": seeds[row : row + 1], "label": labels[row : row + 1]}, {}).arrays["image"][0]
        np.testing.assert_array_equal(together[row], alone)
    by_latent = handler.infer({"latent": draw_latents([7], SIZE), "label": np.array([1])}, {}).arrays["image"]
    np.testing.assert_array_equal(by_latent[0], together[7])


def test_each_step_is_one_call_with_less_noise(handler, calls):
    handler.infer({"seed": np.array([1, 2]), "label": np.array([0, 2])}, {})
    handler.infer({"seed": np.array([1]), "label": np.array([0])}, {"steps": 7})
    assert [len(noisy) for noisy, _, _ in calls] == [2] * 4 + [1] * 7
    levels = [float(log_snr[0]) for _, log_snr, _ in calls[:4]]
    assert levels == sorted(levels)


def test_pixels_are_channels_last_in_the_answer(handler):
    latent = np.zeros((1, SIZE), np.float32)
    latent[0, :6] = 50  # the first channel
    image = handler.infer({"latent": latent, "label": np.array([0])}, {"steps": 1}).arrays["image"][0]
    assert image[..., 0].min() > image[..., 1].max()


def test_guidance_goes_on_from_the_image_without_a_class(handler, calls):
    latents = np.zeros((2, SIZE), np.float32)
    image = handler.infer({"latent": latents, "label": np.array([2, 1])}, {"steps": 1, "guidance": 1.5}).arrays["image"]
    ((noisy, _, labels),) = calls
    assert labels.tolist() == [2, 1, 3, 3]
    assert len(noisy) == 4
    # without a class 3/4; 3/4 + 1.5 · (2/4 − 3/4) and 3/4 + 1.5 · (1/4 − 3/4)
    assert image[:, 0, 0, 0].tolist() == [level(0.375), level(0.0)]


def test_a_request_chooses_its_sampler(handler, calls):
    rows = {"seed": np.array([3]), "label": np.array([1])}
    for sampler in ("ddim", "dpm-solver++"):
        handler.infer(rows, {"sampler": sampler, "steps": 3})
    handler.infer(rows, {"steps": 3})
    seen = [noisy for noisy, _, _ in calls]
    np.testing.assert_array_equal(seen[0], seen[3])
    assert not np.array_equal(seen[2], seen[5])
    np.testing.assert_array_equal(seen[5], seen[8])


def test_a_wrong_label_fails_its_row_alone(handler):
    outputs = handler.infer({"seed": np.array([1, 2]), "label": np.array([0, 7])}, {})
    assert outputs.row_errors == [None, "label 7 does not exist; there are 0 to 2: Bag, Ankle boot, Sneaker"]
    assert outputs.arrays["image"][0].any()
    assert not outputs.arrays["image"][1].any()


@pytest.mark.parametrize(("leaving", "num_steps"), [([[], [0], [1]], 2), ([[], [0, 1]], 1), ([[], [1], [], []], 4)])
def test_nothing_is_computed_for_whom_nobody_waits(handler, calls, monkeypatch, leaving, num_steps):
    rows = {"seed": np.array([1, 2]), "label": np.array([0, 2])}
    expected = handler.infer(rows, {}).arrays["image"]
    calls.clear()
    left = iter(leaving)
    monkeypatch.setattr(handler, "departed", lambda: next(left))
    images = handler.infer(rows, {}).arrays["image"]
    assert len(calls) == num_steps
    assert images.shape == expected.shape
    assert np.array_equal(images, expected) is (num_steps == 4)
