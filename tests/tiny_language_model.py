"""A language model of random weights: nonsense in a moment, by all the ways of a real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from training.language_model.network import LanguageModel, build_network
from training.language_model.recipe import Recipe
from training.language_model.servable import (
    OUTPUTS,
    describe_inputs,
    describe_options,
    describe_parameters,
    describe_programs,
    encode_texts,
)
from training.language_model.vocabularies import LEARNED
from training.release.spec import HeldOut, ReleaseSpec
from training.sequences.vocabulary import END, Vocabulary, learn_exact_vocabulary

RECIPE = Recipe(width=32, num_layers=2, num_heads=4, context=24, max_tokens=8, max_rows=8, num_candidates=400)
PROMPTS = ("the dog", "", "A cat  sees\n", "two red houses")


def learn_tiny_vocabulary() -> Vocabulary:
    """One piece for each letter, and the bytes."""
    return learn_exact_vocabulary(["the dog sees a Cat and two houses are red"], 0)


def build_tiny_network(num_pieces: int) -> LanguageModel:
    """Random weights, sharpened so that letters are likelier than bytes and the end comes now and then."""
    torch.manual_seed(3)
    network = build_network(RECIPE, num_pieces).eval().requires_grad_(False)
    network.embedding.weight *= 40
    network.embedding.weight[END + 1 : END + 257] *= 0.1
    return network


def describe_tiny_language_model(network: LanguageModel, vocabulary: Vocabulary, folder: Path) -> ReleaseSpec:
    """Describe it to the release; its vocabulary is written into a folder."""
    vocabulary.save(folder / LEARNED)
    files = {LEARNED: folder / LEARNED}
    rows = {"prompt": encode_texts(PROMPTS)}
    return ReleaseSpec(
        kind="language_model",
        description="random weights",
        programs=describe_programs(network, RECIPE, len(vocabulary), "cpu"),
        inputs=describe_inputs(RECIPE),
        input_sets=(("prompt", "continuation"),),
        outputs=OUTPUTS,
        parameters=describe_parameters(RECIPE),
        handler_options=describe_options(RECIPE, files, len(vocabulary)),
        extra_files=files,
        held_out=HeldOut(
            inputs=rows, score=lambda outputs: np.ones(len(PROMPTS)), metric="presence", dataset="four prompts"
        ),
        margin=1.0,
        examples=rows,
        max_rows=RECIPE.max_rows,
        streams=True,
    )
