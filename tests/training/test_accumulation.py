"""Steps in parts, and with activations computed again, leave what whole steps leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.distributed_trainings import make_translator
from training.classifier import recipe as classifier
from training.classifier.data import load_data
from training.classifier.session import make_task as make_classifier_task
from training.language_model.data import Corpus
from training.language_model.recipe import Recipe as LanguageRecipe
from training.language_model.session import make_task as make_language_task
from training.language_model.vocabularies import make_vocabulary
from training.seq2seq import recipe as seq2seq

CPU = torch.device("cpu")
SMALLER = {"accumulation": 3, "recompute": True}
VIT = replace(
    classifier.PRESETS["vit"],
    stem="patches",  # convolutions normalize batches: a part's statistics are not the whole batch's
    resolution=16,
    token_width=16,
    num_layers=2,
    num_heads=2,
    batch_size=16,
    precision="fp32",
)
TEXT = ("the dog sees a cat and two houses are red. " * 20,)
LANGUAGE = LanguageRecipe(width=16, num_layers=2, num_heads=2, context=16, batch_size=8, vocabulary_size=0, steps=9)


def make_vit(**changes):
    recipe = replace(VIT, **changes)
    return make_classifier_task(recipe, load_data("digits", Path(), recipe), CPU, seed=3)[0]


def make_language_model(**changes):
    recipe = replace(LANGUAGE, **changes)
    corpus = Corpus(name="tiny", train=TEXT, validation=TEXT, test=TEXT)
    return make_language_task(recipe, corpus, make_vocabulary(recipe, corpus)[0], CPU, 3)


def make_translation(cell, accumulation=1, **_):
    task = make_translator(Path(), cell)
    task.accumulation = accumulation
    return task


TASKS = {
    "vit": make_vit,
    "language model": make_language_model,
    "transformer": lambda **changes: make_translation(None, **changes),
    "gru": lambda **changes: make_translation("gru", **changes),
}


@pytest.mark.parametrize("name", TASKS)
def test_smaller_steps_leave_what_whole_steps_leave(name):
    losses = []
    for changes in ({}, SMALLER):
        torch.manual_seed(3)
        task = TASKS[name](**changes)
        losses.append([{key: float(value) for key, value in task.train_step(step).items()} for step in range(3)])
    for whole, parts in zip(*losses, strict=True):
        assert parts == pytest.approx(whole, rel=1e-4)
    assert losses[0][2]["loss"] != pytest.approx(losses[0][0]["loss"], rel=1e-3)


def test_what_cannot_recompute_says_what_can():
    with pytest.raises(ValueError, match="recompute is for the layers of vit and deit, and network is compact"):
        replace(classifier.DEMO, recompute=True)
    with pytest.raises(ValueError, match="recompute is for the Transformer's layers, and network is gru"):
        replace(seq2seq.DEMO, network="gru", recompute=True)
