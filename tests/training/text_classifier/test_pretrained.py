"""A tiny BERT of random weights, saved and read as somebody's trained one would be; nothing reaches for a network."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from training.engine.runs import read_run
from training.release.capture import capture
from training.sequences.batching import pad_rows
from training.text_classifier.data import load_data
from training.text_classifier.low_rank import LowRankLinear
from training.text_classifier.network import build_network, load_network
from training.text_classifier.objective import TextTask
from training.text_classifier.pretrained import load_encoder, load_pretrained_subwords
from training.text_classifier.servable import describe_release
from training.text_classifier.session import find_subwords, make_task, train

CPU = torch.device("cpu")
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    text = " ".join(load_data("opinions", folder, validation_fraction=0.1).train.texts)
    words = sorted(set(text.replace("?", " ? ").replace(",", " , ").replace(":", " : ").split()))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(pieces), max_position_embeddings=64, **SIZES)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def recipe(tiny_recipe, folder):
    return replace(
        tiny_recipe, network="pretrained", weights_folder=str(folder), low_rank=2, average_decay=0.0, lr=0.01
    )


@pytest.fixture(scope="module")
def low_rank_run(recipe, make_options, tmp_path_factory):
    return train(recipe, make_options(tmp_path_factory.mktemp("run") / "run"))


def test_pieces_are_those_of_the_networks_own_tokenizer(folder):
    from transformers import AutoTokenizer

    peer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    texts = ["The room was NOT café!", "nobody can deny: the waiter was rude", "unheard-of?"]
    assert load_pretrained_subwords(folder).encode(texts, 64) == peer(texts)["input_ids"]


@torch.no_grad()
def test_features_are_those_of_the_network_and_padding_changes_none(folder):
    from transformers import AutoModel

    rows = [[2, 9, 10, 11, 12, 3], [2, 9, 3]]
    peer = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    expected = torch.cat([peer(torch.tensor([row])).last_hidden_state[:, 0] for row in rows])
    torch.testing.assert_close(load_encoder(folder).eval()(pad_rows(rows)), expected, rtol=1e-4, atol=1e-5)


def test_a_step_of_low_rank_leaves_the_pretrained_weights_as_they_were(recipe, folder):
    data = load_data("opinions", folder, validation_fraction=0.1)
    task, _ = make_task(recipe, data, find_subwords(recipe, data, folder), folder, CPU, 0)
    assert isinstance(task, TextTask)
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    for step in range(2):
        task.train_step(step)
    changed = {name for name, value in task.network.named_parameters() if not torch.equal(value, before[name])}
    learns = {name for name in before if name.endswith((".down", ".up")) or name.startswith("head.")}
    unused = {name for name in learns if ".pooler." in name}
    assert changed == learns - unused
    assert sum(isinstance(layer, LowRankLinear) for layer in task.network.modules()) == 7


def test_a_finished_run_holds_merged_weights_and_needs_the_folder_no_longer(low_rank_run, folder, monkeypatch):
    monkeypatch.setattr("training.text_classifier.network.load_encoder", None)
    network, _, stored = load_network(low_rank_run)
    assert not any(isinstance(layer, LowRankLinear) for layer in network.modules())
    own = load_encoder(folder).backbone.state_dict()
    moved = {
        name for name, value in own.items() if not torch.equal(stored["network"]["encoder.backbone." + name], value)
    }
    assert moved
    assert all(name.endswith(".weight") and "LayerNorm" not in name and "embeddings" not in name for name in moved)
    assert read_run(low_rank_run)["metrics"]["n"] == 60


def test_its_program_exports_with_any_number_of_rows_and_pieces(low_rank_run):
    spec = describe_release(low_rank_run, "cpu")
    assert list(spec.extra_files) == ["wordpiece.json"]
    program = spec.programs["main"]
    exported = capture(program, CPU).module()
    for shape in ((1, 1), (64, 64), (3, 9)):
        pieces = torch.randint(1, 30, shape)
        pieces[-1, shape[1] // 2 + 1 :] = 0
        torch.testing.assert_close(exported(pieces), program.module(pieces), rtol=1e-4, atol=1e-5)


def test_what_is_no_such_network_is_refused(recipe, folder, tmp_path):
    with pytest.raises(ValueError, match="reads 64 pieces at most; set max_pieces=64"):
        build_network(replace(recipe, max_pieces=65), 20, 3, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no config\.json; weights_folder is one that save_pretrained"):
        load_encoder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file or folder nowhere"):
        build_network(replace(recipe, weights_folder="nowhere"), 20, 3, tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="transformers reads no network from"):
        load_encoder(tmp_path)
