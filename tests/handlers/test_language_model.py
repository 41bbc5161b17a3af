"""The handler around exported programs of random weights: what it writes, measures and refuses."""

import numpy as np
import pytest
import torch

from handlers.base import RowError
from handlers.message import Request
from tests.tiny_language_model import (
    PROMPTS,
    RECIPE,
    build_tiny_network,
    describe_tiny_language_model,
    learn_tiny_vocabulary,
)
from training.language_model.servable import encode_texts
from training.release.reference import open_reference
from training.sequences.vocabulary import BEGIN, END


@pytest.fixture(scope="module")
def vocabulary():
    return learn_tiny_vocabulary()


@pytest.fixture(scope="module")
def network(vocabulary):
    return build_tiny_network(len(vocabulary))


@pytest.fixture(scope="module")
def handler(network, vocabulary, tmp_path_factory):
    spec = describe_tiny_language_model(network, vocabulary, tmp_path_factory.mktemp("vocabulary"))
    return open_reference(spec, torch.device("cpu"), tmp_path_factory.mktemp("handler"))


def write(handler, *prompts, **parameters):
    return handler.infer({"prompt": encode_texts(prompts)}, parameters).arrays


def write_by_hand(network, vocabulary, prompt, count):
    """Greedily, the whole text anew for each piece."""
    pieces, score = [BEGIN, *vocabulary.encode([prompt])[0][:-1]], 0.0
    num_read = len(pieces)
    while len(pieces) < num_read + count:
        logits = network(torch.tensor([pieces]))[0, -1]
        logits[:END] = -torch.inf
        values = logits.log_softmax(-1)
        score += float(values.max())
        if int(values.argmax()) == END:
            break
        pieces.append(int(values.argmax()))
    return vocabulary.decode([pieces[num_read:]])[0].encode(), score


def test_rows_are_written_together_as_the_network_says_of_each_alone(handler, network, vocabulary):
    found = write(handler, *PROMPTS, max_tokens=6)
    for row, prompt in enumerate(PROMPTS):
        text, score = write_by_hand(network, vocabulary, prompt, 6)
        assert found["text"][row] == text
        assert found["score"][row] == pytest.approx(score, abs=1e-4)
    assert len(set(found["text"].tolist())) > 1


def test_texts_end_where_the_network_sees_no_further(handler):
    prompt = "t" * (RECIPE.context - 4)
    found = write(handler, prompt, min_tokens=20, max_tokens=20)
    assert len(handler.vocabulary.encode(found["text"][0].decode())) <= 3
    refused = handler.infer({"prompt": encode_texts(["t" * (RECIPE.context - 1), "a"])}, {})
    assert refused.row_errors[0] == "the prompt has 24 pieces, the network sees 24: send fewer, the last ones"
    assert (refused.arrays["text"][0], refused.row_errors[1]) == (b"", None)
    assert handler.infer({"prompt": np.array([b"\xff"], np.object_)}, {}).row_errors[0].startswith("the prompt is no")


def test_streams_that_join_one_after_the_other_tell_what_is_written_alone(handler):
    session, told, last = handler.open_session(), {}, {}
    parameters = {"temperature": 0.8, "top_p": 0.9, "repetition_penalty": 1.2, "seed": 5, "max_tokens": 9}

    def step():
        for part in session.advance():
            told[part.key] = told.get(part.key, b"") + part.outputs.arrays["text"][0]
            if part.is_last:
                last[part.key] = float(part.outputs.arrays["score"][0])

    for key, prompt in enumerate(PROMPTS):
        session.join(key, Request({"prompt": encode_texts([prompt])}, parameters, ()))
        step()
        step()
    while not session.is_empty:
        step()
    for key, prompt in enumerate(PROMPTS):
        alone = write(handler, prompt, **parameters)
        assert told[key] == alone["text"][0]
        assert last[key] == pytest.approx(float(alone["score"][0]), abs=1e-4)


def test_a_continuation_is_measured_as_it_would_have_been_written(handler):
    written = write(handler, *PROMPTS, min_tokens=5, max_tokens=5)
    given = {"prompt": encode_texts(PROMPTS), "continuation": written["text"]}
    measured = handler.infer(given, {})
    # Bytes that are no character come back as another text.
    whole = [len(handler.vocabulary.encode(text.decode())) == 5 for text in written["text"]]
    assert sum(whole) > 1
    np.testing.assert_allclose(measured.arrays["score"][whole], written["score"][whole], atol=1e-4)
    assert measured.arrays["text"][whole].tolist() == written["text"][whole].tolist()
    with pytest.raises(RowError, match="a continuation is measured, which is no stream"):
        handler.open_session().join(1, Request({name: rows[:1] for name, rows in given.items()}, {}, ()))


def test_continuations_that_do_not_fit_fail_alone_and_empty_ones_are_certain(handler):
    found = handler.infer({"prompt": encode_texts(["a", "a"]), "continuation": encode_texts(["t" * 40, ""])}, {})
    assert found.row_errors == [
        "prompt and continuation have 42 pieces together, the limit is 25: send shorter ones",
        None,
    ]
    assert found.arrays["text"].tolist() == [b"", b""]
    assert found.arrays["score"].tolist() == [0, 0]
