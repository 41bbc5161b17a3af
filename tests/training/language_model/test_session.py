"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.engine.interruption import Interrupted
from training.language_model.difference import compare_runs
from training.language_model.network import load_network
from training.language_model.objective import LanguageTask
from training.language_model.recipe import DEMO, Recipe
from training.language_model.servable import describe_release
from training.language_model.session import train
from training.language_model.vocabularies import load_vocabulary

TINY = replace(
    DEMO,
    vocabulary_size=0,
    width=16,
    num_heads=2,
    num_layers=1,
    context=16,
    steps=40,
    batch_size=8,
    lr=1e-2,
    validate_every=20,
)
WORDS = ("one", "two", "red", "dog", "cat", "sees", "the", "a")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    chance = random.Random(0)
    lines = [" ".join(chance.choices(WORDS, k=chance.randint(3, 7))) + f" {place}." for place in range(200)]
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "own.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def make_options(corpus):
    return partial(runs.make_options, model="language_model", data="text:own.txt", data_root=corpus)


@pytest.fixture(scope="module")
def finished_run(make_options, tmp_path_factory):
    return train(TINY, make_options(tmp_path_factory.mktemp("run")))


def test_a_run_leaves_figures_samples_and_a_picture(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    found = json.loads((finished_run / "evaluation.json").read_text())
    own, grams = found["network"]["bits_per_character"], found["5-gram"]["bits_per_character"]
    assert metrics["bits_per_character"] == pytest.approx(own, abs=1e-4)
    assert 1 < grams < own < 5  # letters drawn evenly take 4.6 bits
    assert found["network"]["perplexity_per_character"] == pytest.approx(2**own)
    assert found["network"]["perplexity_per_piece"] == pytest.approx(2**own)  # a piece is a letter
    low, high = found["network − 5-gram"]["interval"]
    assert low < found["network − 5-gram"]["difference"] == pytest.approx(own - grams)
    assert own - grams < high
    assert "⟨…⟩" in (finished_run / "samples.txt").read_text()
    assert (finished_run / "bits_by_place.png").read_bytes().startswith(b"\x89PNG")


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(
    finished_run, make_options, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.language_model.session.evaluate_run", lambda run, corpus: {})
    with interrupted_after(LanguageTask, 10), pytest.raises(Interrupted, match="stopped after step 11 of 40"):
        train(TINY, make_options(tmp_path / "run"))
    train(TINY, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_the_release_asks_for_what_the_evaluation_measured(finished_run):
    spec = describe_release(finished_run, "cpu")
    with np.load(finished_run / "predictions.npz") as stored:
        nats, texts = stored["nats"], stored["texts"]
    assert [text.decode() for text in spec.held_out.inputs["continuation"]] == texts.tolist()
    scores = spec.held_out.score({"score": -nats.astype(np.float32)})
    own = json.loads((finished_run / "evaluation.json").read_text())["network"]["bits_per_character"]
    assert spec.held_out.aggregate(scores) == pytest.approx(-own, abs=1e-5)
    by_frequency = -spec.held_out.aggregate(spec.held_out.baseline.scores)
    assert 2 < by_frequency < math.log2(len(load_vocabulary(finished_run)))  # bits: better than all pieces alike
    assert (spec.kind, spec.streams, spec.margin) == ("language_model", True, 0.01)
    assert spec.handler_options["begins"] is True
    assert len(spec.examples["prompt"]) == min(16, len(texts))


def test_two_runs_are_compared_on_the_same_texts(finished_run, tmp_path):
    assert "+0.0000 (95 % interval +0.0000 … +0.0000), p = 1: no difference" in compare_runs(finished_run, finished_run)
    with np.load(finished_run / "predictions.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"nats": arrays["nats"] * 1.1}))
    assert "they differ" in compare_runs(finished_run, tmp_path)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"texts": arrays["texts"][1:]}))
    with pytest.raises(ValueError, match="were evaluated on different texts"):
        compare_runs(finished_run, tmp_path)


def test_recipes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="steps=0 trains nothing"):
        Recipe(steps=0)
    with pytest.raises(ValueError, match="width=30 must be divisible by num_heads=4"):
        Recipe(width=30, num_heads=4)
    with pytest.raises(ValueError, match="context=7 must be even"):
        Recipe(context=7)
