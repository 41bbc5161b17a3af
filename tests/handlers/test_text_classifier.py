"""The handler around a stand-in program: what it makes of texts, and of probabilities."""

import json

import numpy as np
import pytest

from handlers.device import Cpu
from handlers.text_classifier import TextClassifierHandler
from training.sequences.vocabulary import learn_vocabulary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "room", "##s"]


def count(values):
    """Make the number of pieces of each text the first label's probability."""
    (pieces,) = values
    length = (pieces != 0).sum(1) / 100
    return [np.stack([length, 0.4 - length, np.full(len(pieces), 0.6)], 1).astype(np.float32)]


@pytest.fixture
def open_handler(tmp_path):
    def open_(**options):
        manifest = {
            "handler_options": {"labels": ["few", "many", "né"], "max_pieces": 6, **options},
            "programs": {},
            "inputs": [{"name": "text"}],
            "outputs": [{"name": "probabilities"}, {"name": "label"}],
            "default_outputs": [],
        }
        handler = TextClassifierHandler(manifest, tmp_path, Cpu())
        handler.programs = {"main": count}
        return handler

    return open_


@pytest.fixture
def handler(open_handler, tmp_path):
    content = {"pieces": PIECES, "lowercase": True, "strip_accents": True}
    (tmp_path / "wordpiece.json").write_text(json.dumps(content))
    return open_handler(vocabulary="wordpiece.json")


def ask(handler, *texts, **parameters):
    rows = np.array([text if isinstance(text, bytes) else text.encode() for text in texts], np.object_)
    return handler.infer({"text": rows}, parameters)


def test_texts_are_padded_to_the_longest_and_cut_at_the_limit(handler):
    seen = []
    handler.programs = {"main": lambda values: seen.append(values[0]) or count(values)}
    ask(handler, "Good rooms", "bad", "good good good good good good")
    assert seen[0].tolist() == [[2, 4, 6, 7, 3, 0], [2, 5, 3, 0, 0, 0], [2, 4, 4, 4, 4, 3]]
    assert seen[0].dtype == np.int64


def test_pieces_are_named_as_they_stand_in_the_text(handler, open_handler, tmp_path):
    names = handler.name_pieces(np.array([[2, 4, 6, 7, 3, 0]]))
    assert names.tolist() == [[b" [CLS]", b" good", b" room", b"s", b" [SEP]", b""]]


def test_labels_come_ranked_or_the_best_alone(handler):
    found = ask(handler, "bad room").arrays
    assert found["probabilities"][0].tolist() == pytest.approx([0.04, 0.36, 0.6])
    assert found["label"].tolist() == ["né".encode()]
    ranked = ask(handler, "bad room", top_k=2).arrays
    assert ranked["label"].tolist() == [["né".encode(), b"many"]]
    assert ranked["probabilities"][0].tolist() == pytest.approx([0.6, 0.36])
    assert list(handler.infer({"text": np.array([b"bad"], np.object_)}, {}, ["label"]).arrays) == ["label"]


def test_texts_that_cannot_be_read_fail_alone_and_say_why(handler):
    found = ask(handler, "good", b"n\xe9", "  ", "bad")
    assert found.row_errors == [
        None,
        "the text is no UTF-8 (byte 1); send UTF-8",
        "the text is empty; send at least one word",
        None,
    ]
    assert found.arrays["label"].tolist() == ["né".encode(), b"", b"", "né".encode()]
    assert found.arrays["probabilities"][1:3].any() is np.False_


def test_learned_subwords_end_with_their_sign(open_handler, tmp_path):
    texts = ["good room", "bad room", "good rooms are bad", "no room"] * 5
    vocabulary = learn_vocabulary(texts, 290, lowercase=True)
    vocabulary.save(tmp_path / "vocabulary.model")
    handler = open_handler(vocabulary="vocabulary.model", lowercase=True)
    assert handler.encode_text("Good Room") == vocabulary.encode(["good room"])[0]
    assert len(handler.encode_text("xyzzyxyzzy")) == 6
    assert handler.encode_text("xyzzyxyzzy")[-1] == 3
    pieces = np.array([handler.encode_text("No good.")])
    assert b"".join(handler.name_pieces(pieces)[0]) == b" no good.</s>"
