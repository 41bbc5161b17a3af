"""A translator of random weights: nonsense in a moment, by all the ways of a real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.release.spec import HeldOut, ReleaseSpec, TensorSpec
from training.seq2seq.network import build_network
from training.seq2seq.recipe import Recipe
from training.seq2seq.servable import describe_outputs, describe_parameters, describe_programs, encode_texts
from training.sequences.vocabulary import END, learn_vocabulary

WORDS = ["one", "two", "three", "red", "green", "blue", "dog", "cat", "house", "sees", "runs", "under", "a"]
NUM_PIECES = 300
RECIPE = Recipe(
    width=32,
    hidden=48,
    num_layers=2,
    num_heads=4,
    dropout=0.0,
    vocabulary_size=340,
    max_pieces=40,
    beam_size=3,
    max_rows=8,
)
TEXTS = ("the big dog sees a small cat", "red", "one two three", "a house under the blue house runs")


def build_tiny_network(recipe: Recipe = RECIPE) -> nn.Module:
    """Random weights, sharpened: every sentence then ends sooner or later, and not all the same way."""
    torch.manual_seed(3)
    network = build_network(recipe, NUM_PIECES).eval().requires_grad_(False)
    network.embedding.weight[END] *= 2
    network.embedding.weight[END + 1 : END + 257] *= 0.3  # words are likelier than single bytes
    return network


def describe_tiny_translator(
    network: nn.Module, folder: Path, *, name: str = "", recipe: Recipe = RECIPE
) -> ReleaseSpec:
    """Describe it to the release; its vocabulary is written into a folder."""
    texts = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))]
    learn_vocabulary(texts, NUM_PIECES, lowercase=True).save(folder / "vocabulary.model")
    rows = {"text": encode_texts(TEXTS)}
    return ReleaseSpec(
        kind="seq2seq",
        name=name,
        description="random weights",
        programs=describe_programs(network, recipe, NUM_PIECES, "cpu"),
        inputs=(TensorSpec(name="text", datatype="BYTES", shape=(-1,), meaning="a sentence", size_sets_time=True),),
        input_sets=(("text",),),
        outputs=describe_outputs(recipe),
        default_outputs=("translation", "score"),
        parameters=describe_parameters(recipe),
        handler_options={
            "vocabulary": "vocabulary.model",
            "lowercase": True,
            "max_pieces": recipe.max_pieces,
            "beam_size": recipe.beam_size,
            "max_beam_size": recipe.max_beam_size,
            "length_penalty": 1.0,
        },
        extra_files={"vocabulary.model": folder / "vocabulary.model"},
        held_out=HeldOut(
            inputs=rows, score=lambda outputs: np.ones(len(TEXTS)), metric="presence", dataset="four sentences"
        ),
        margin=1.0,
        examples=rows,
        max_rows=recipe.max_rows,
        streams=True,
    )
