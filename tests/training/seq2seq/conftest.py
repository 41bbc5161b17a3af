import random
from functools import partial

import pytest
import torch

from tests.training import runs
from training.seq2seq.network import build_network
from training.seq2seq.recipe import Recipe

WORDS = {"one": "un", "two": "deux", "red": "rouge", "dog": "chien", "cat": "chat", "sees": "voit", "big": "grand"}


@pytest.fixture(scope="session")
def tiny_recipe():
    return Recipe(
        data="text:toy.en,toy.fr",
        width=32,
        hidden=64,
        num_layers=1,
        num_heads=2,
        dropout=0.0,
        vocabulary_size=304,
        max_pieces=24,
        num_validation=16,
        tokens_per_batch=256,
        epochs=30,
        lr=1e-2,
        warmup_steps=20,
        average_decay=0.9,
        beam_size=2,
        precision="fp32",
    )


@pytest.fixture
def tiny_network(tiny_recipe):
    torch.manual_seed(0)
    return build_network(tiny_recipe, 300).eval()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A folder with toy.en and toy.fr: word-by-word translations of random words."""
    folder = tmp_path_factory.mktemp("corpus")
    generator = random.Random(0)
    rows = [[generator.choice(list(WORDS)) for _ in range(generator.randint(2, 5))] for _ in range(500)]
    (folder / "toy.en").write_text("".join(" ".join(row) + "\n" for row in rows))
    (folder / "toy.fr").write_text("".join(" ".join(WORDS[word] for word in row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="session")
def make_options(corpus):
    return partial(runs.make_options, model="seq2seq", data="text:toy.en,toy.fr", data_root=corpus, seed=0)
