"""The handler around a stand-in program whose pixels show what it was given."""

import numpy as np
import pytest

from handlers.device import Cpu
from handlers.text_to_image import TextToImageHandler
from model_store.latents import draw_latents
from training.sequences.vocabulary import END, learn_vocabulary

SIZE, MAX_PIECES = 5, 8
WORDS = ["a small red 3 on grey", "a large blue 7 on black", "two green 5s"]


def show(values):
    """One row of pixels: the latent scaled to bytes, then the numbers of pieces modulo 256."""
    latents, pieces = values
    scaled = (latents * 30 + 128).clip(0, 255).round().astype(np.uint8)
    return [np.concatenate([scaled, (pieces % 256).astype(np.uint8)], 1)[:, None, :, None]]


@pytest.fixture(scope="module")
def vocabulary():
    return learn_vocabulary(WORDS * 20, 300, lowercase=True)


@pytest.fixture(scope="module")
def handler(vocabulary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handler")
    vocabulary.save(folder / "vocabulary.model")
    manifest = {
        "handler_options": {
            "labels": [],
            "latent_size": SIZE,
            "max_pieces": MAX_PIECES,
            "vocabulary": "vocabulary.model",
            "lowercase": True,
        },
        "programs": {},
        "inputs": [{"name": name} for name in ("text", "seed", "latent")],
        "outputs": [{"name": "image"}, {"name": "encoded"}],
        "default_outputs": ["image"],
    }
    made = TextToImageHandler(manifest, folder, Cpu())
    made.programs = {"main": show}
    return made


def as_bytes(*texts):
    array = np.empty(len(texts), np.object_)
    array[:] = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return array


def test_a_text_and_seed_are_the_same_image_whatever_else_is_in_the_batch(handler):
    alone = handler.infer({"text": as_bytes("two"), "seed": np.array([5])}, {}).arrays["image"][0]
    texts, seeds = as_bytes(*WORDS, "two"), np.array([1, 2, 3, 5])
    together = handler.infer({"text": texts, "seed": seeds}, {}).arrays["image"]
    np.testing.assert_array_equal(together[3], alone)
    assert alone.shape == (1, SIZE + MAX_PIECES, 1)


def test_texts_are_folded_cut_and_padded_to_what_the_program_takes(handler, vocabulary):
    shown = handler.infer({"text": as_bytes("RED", WORDS[1])}, {}).arrays["image"][:, 0, SIZE:, 0]
    (short, long) = vocabulary.encode(["red", WORDS[1]])
    assert len(long) > MAX_PIECES
    assert shown[0].tolist() == [piece % 256 for piece in short] + [0] * (MAX_PIECES - len(short))
    assert shown[1].tolist() == [piece % 256 for piece in long[: MAX_PIECES - 1]] + [END]


def test_without_a_seed_it_is_0_and_a_latent_takes_its_place(handler):
    by_text, by_seed, by_latent = (
        handler.infer({"text": as_bytes("two"), **rest}, {}).arrays["image"]
        for rest in ({}, {"seed": np.array([0])}, {"latent": draw_latents([0], SIZE)})
    )
    np.testing.assert_array_equal(by_text, by_seed)
    np.testing.assert_array_equal(by_text, by_latent)
    other = handler.infer({"text": as_bytes("two"), "seed": np.array([1])}, {}).arrays["image"]
    assert (other != by_text).any()


def test_truncation_bounds_what_a_seed_draws(handler):
    texts = as_bytes(*["two"] * 64)
    images = handler.infer({"text": texts, "seed": np.arange(64)}, {"truncation": 0.5}).arrays["image"]
    assert np.abs(images[:, 0, :SIZE, 0].astype(int) - 128).max() <= 15


def test_a_text_that_cannot_be_read_fails_alone_and_files_come_on_request(handler):
    outputs = handler.infer({"text": as_bytes("two", b"\xff", " ")}, {}, ["encoded"])
    assert outputs.row_errors == [
        None,
        "the text is no UTF-8 (byte 0); send UTF-8",
        "the text is empty; send at least one word",
    ]
    assert outputs.arrays["encoded"][0].startswith(b"\x89PNG")
    assert outputs.arrays["encoded"][1:].tolist() == [b"", b""]
