"""A tiny random GPT-2, saved as `transformers` saves one, answers in this house as it does there."""

import json
import string
from dataclasses import replace

import pytest
import torch

from handlers.archive import find_handler
from handlers.device import Cpu
from training.language_model.data import Corpus
from training.language_model.gpt2 import load_weights, read_sizes
from training.language_model.network import build_network
from training.language_model.program import ReaderProgram, WriterProgram
from training.language_model.recipe import Recipe
from training.language_model.servable import describe_options, encode_texts
from training.language_model.session import make_task
from training.language_model.vocabularies import PairVocabulary
from training.sequences.vocabulary import END

TEXT = "It's  the dog's 12 bones,\n\n\tNaïve Ωμέγα 漢字 x² 🙂 they'll  "
MERGES = ("t h", "th e", "Ġ the", "d o", "do g", "Ġ dog", "1 2", "Ġ 12", "l l", "' ll", "Ã ¯", "Ċ Ċ")


@pytest.fixture(scope="module")
def transformers():
    """The library, whose import takes two seconds of processor time that only one test process needs to spend."""
    import transformers

    return transformers


@pytest.fixture(scope="module")
def folder(transformers, tmp_path_factory):
    """A folder as `transformers` leaves it."""
    folder = tmp_path_factory.mktemp("gpt2")
    visible = [*string.printable[:94], *(chr(code) for code in range(0xA1, 0x144) if code != 0xAD)]
    names = list(dict.fromkeys([*visible, *(merge.replace(" ", "") for merge in MERGES), "<|endoftext|>"]))
    (folder / "vocab.json").write_text(json.dumps({name: place for place, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(names), n_positions=48, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(transformers, folder):
    return transformers.GPT2LMHeadModel.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def tokenizer(transformers, folder):
    return transformers.GPT2Tokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def ours(folder):
    recipe = Recipe(weights=str(folder), steps=0, **read_sizes(folder))
    network = build_network(recipe, len(PairVocabulary(folder))).eval().requires_grad_(False)
    load_weights(network, folder)
    return recipe, network


def test_text_is_cut_into_the_same_pieces(folder, tokenizer):
    vocabulary = PairVocabulary(folder)
    (pieces,) = vocabulary.encode([TEXT])
    assert [piece - END - 1 for piece in pieces[:-1]] == tokenizer(TEXT)["input_ids"]
    assert vocabulary.decode([pieces]) == [TEXT]


def test_training_on_leaves_loaded_matrices_to_adam(ours, folder):
    corpus, vocabulary = Corpus("own", *((TEXT * 20,),) * 3), PairVocabulary(folder)

    def list_optimizers(recipe):
        task = make_task(recipe, corpus, vocabulary, torch.device("cpu"), seed=0)
        return [type(optimizer).__name__ for optimizer in task.updater.optimizers]

    assert list_optimizers(ours[0]) == ["AdamW"]
    assert list_optimizers(replace(ours[0], weights=None, steps=2)) == ["AdamW", "Muon"]


@torch.no_grad()
def test_logits_are_those_of_transformers(ours, theirs):
    pieces = torch.randint(0, 250, (3, 40), generator=torch.Generator().manual_seed(1))
    expected = theirs(pieces).logits
    found = ours[1](pieces + END + 1)
    torch.testing.assert_close(found[..., END + 1 :], expected[..., :-1], atol=1e-4, rtol=0)
    torch.testing.assert_close(found[..., END], expected[..., -1], atol=1e-4, rtol=0)


@torch.no_grad()
def test_it_goes_on_as_transformers_does(ours, theirs, tokenizer, folder):
    recipe, network = ours
    files = {name: folder / name for name in ("vocab.json", "merges.txt")}
    manifest = {
        "handler_options": describe_options(recipe, files, len(PairVocabulary(folder))),
        "programs": {},
        "inputs": [{"name": "prompt"}],
        "outputs": [{"name": "text"}, {"name": "score"}],
        "default_outputs": [],
    }
    handler = find_handler("language_model")(manifest, folder, Cpu())
    programs = {
        "reader": ReaderProgram(network),
        "writer": WriterProgram(network, len(PairVocabulary(folder)), recipe.num_candidates),
    }
    handler.programs = {
        role: lambda values, program=program: [
            found.numpy() for found in program(*(torch.from_numpy(value) for value in values))
        ]
        for role, program in programs.items()
    }
    prompt = "the dog's 12 bones"
    found = handler.infer({"prompt": encode_texts([prompt])}, {"max_tokens": 10}).arrays
    read = torch.tensor([tokenizer(prompt)["input_ids"]])
    written = theirs.generate(
        read, attention_mask=torch.ones_like(read), max_new_tokens=10, do_sample=False, pad_token_id=0
    )[0, read.shape[1] :]
    assert found["text"][0].decode() == tokenizer.decode(written, skip_special_tokens=True)


def test_pickled_weights_are_read_without_running_them(transformers, ours, folder, tmp_path):
    for name in ("config.json", "vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"neither model.safetensors nor pytorch_model.bin"):
        load_weights(ours[1], tmp_path)
    state = transformers.GPT2LMHeadModel.from_pretrained(folder).state_dict()
    torch.save(
        {name: tensor for name, tensor in state.items() if name != "lm_head.weight"}, tmp_path / "pytorch_model.bin"
    )
    again = build_network(ours[0], len(PairVocabulary(folder)))
    load_weights(again, tmp_path)
    assert torch.equal(again.layers[1].attention.project.weight, ours[1].layers[1].attention.project.weight)


def test_other_networks_are_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"activation_function": "relu"}))
    with pytest.raises(ValueError, match="describes a gpt2 with relu and 128 inner features; this network takes"):
        read_sizes(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no config.json"):
        read_sizes(tmp_path / "none")
