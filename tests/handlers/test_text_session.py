import json
import random

import numpy as np
import pytest
import torch

from handlers.beam_search import PAD
from handlers.message import Request
from handlers.text_session import TextStream
from tests.tiny_translator import RECIPE, TEXTS, build_tiny_network, describe_tiny_translator
from training.release.reference import open_reference
from training.seq2seq.servable import encode_texts


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def handler(tmp_path_factory):
    spec = describe_tiny_translator(build_tiny_network(), tmp_path_factory.mktemp("vocabulary"))
    return open_reference(spec, torch.device("cpu"), tmp_path_factory.mktemp("handler"))


def ask(text, requested=(), **parameters):
    return Request({"text": encode_texts((text,))}, parameters, requested)


def translate(handler, text, requested=(), **parameters):
    return handler.infer({"text": encode_texts((text,))}, parameters, requested).arrays


class Listener:
    """Steps a session and keeps what was told to whom."""

    def __init__(self, handler):
        self.session = handler.open_session()
        self.told = {}
        self.ended = []

    def step(self):
        for part in self.session.advance():
            self.told.setdefault(part.key, []).append(part)
            assert part.key not in self.ended
            if part.is_last:
                self.ended.append(part.key)

    def run(self):
        while not self.session.is_empty:
            self.step()

    def text(self, key):
        return b"".join(part.outputs.arrays["translation"][0] for part in self.told[key])

    def last(self, key):
        return self.told[key][-1].outputs.arrays


@pytest.mark.parametrize(
    "parameters",
    [
        {"beam_size": 1, "max_length": 12},
        {"beam_size": 3, "max_length": 12},
        {"temperature": 2.0, "seed": 5, "max_length": 12},
        {"beam_size": 2, "min_length": 4, "max_length": 9, "length_penalty": 0.5},
    ],
)
def test_sentences_that_join_one_after_the_other_are_written_as_if_alone(handler, parameters):
    listener = Listener(handler)
    for key, text in enumerate(TEXTS):
        listener.session.join(key, ask(text, **parameters))
        listener.step()
        listener.step()
    listener.run()
    for key, text in enumerate(TEXTS):
        alone = translate(handler, text, **parameters)
        assert listener.text(key) == alone["translation"][0]
        assert listener.last(key)["score"][0] == pytest.approx(alone["score"][0], abs=1e-4)


def test_what_is_written_greedily_is_told_at_each_step(handler):
    listener = Listener(handler)
    listener.session.join(1, ask(TEXTS[0], beam_size=1, min_length=6, max_length=6))
    for step in range(1, 7):
        listener.step()
        assert sum(part.num_tokens for part in listener.told[1]) == step
    assert listener.session.is_empty


def test_beams_tell_what_they_agree_on_and_never_take_it_back(handler):
    listener = Listener(handler)
    for key, text in enumerate(TEXTS):
        listener.session.join(key, ask(text, beam_size=3, min_length=8, max_length=16))
    listener.run()
    assert any(len(parts) > 1 for parts in listener.told.values())
    for key, text in enumerate(TEXTS):
        alone = translate(handler, text, beam_size=3, min_length=8, max_length=16)
        assert listener.text(key) == alone["translation"][0]


def test_a_session_of_any_length_stays_within_the_places_of_the_program(handler):
    listener = Listener(handler)
    longest = 2 * RECIPE.max_pieces - 1
    alone = translate(handler, TEXTS[3], beam_size=1, min_length=longest, max_length=longest)
    for step in range(4 * longest):
        if step % 10 == 0 and len(listener.told) - len(listener.ended) < RECIPE.max_rows - 1:
            listener.session.join(step, ask(TEXTS[3], beam_size=1, min_length=longest, max_length=longest))
            listener.session.join(step + 1, ask("red", beam_size=1, max_length=2))
        listener.step()
    listener.run()
    assert len(listener.ended) > 20
    for key in listener.ended:
        if key % 10 == 0:
            assert listener.last(key)["score"][0] == pytest.approx(alone["score"][0], abs=1e-4)
            assert listener.text(key) == alone["translation"][0]


def test_no_more_rows_are_computed_than_have_not_ended(handler):
    listener = Listener(handler)
    decoder, num_rows = handler.programs["decoder"], []

    def count(values):
        num_rows.append(len(values[0]))
        return decoder(values)

    handler.programs["decoder"] = count
    try:
        for key in range(8):
            listener.session.join(key, ask("red", beam_size=1, min_length=1 + key, max_length=1 + key))
        for key in range(8, 12):
            listener.step()
            listener.session.join(key, ask("red", beam_size=1, min_length=9, max_length=9))
        listener.run()
    finally:
        handler.programs["decoder"] = decoder
    assert max(num_rows) == 8


def test_who_leaves_is_told_nothing_more_and_disturbs_nobody(handler):
    listener = Listener(handler)
    parameters = {"beam_size": 1, "min_length": 8, "max_length": 8}
    for key, text in enumerate(TEXTS):
        listener.session.join(key, ask(text, **parameters))
    listener.step()
    told = len(listener.told[0])
    listener.session.leave([0, 77])
    listener.session.join(9, ask("red", **parameters))
    listener.session.leave([9])
    listener.run()
    assert len(listener.told[0]) == told
    assert 9 not in listener.told
    assert sorted(listener.ended) == [1, 2, 3]
    assert listener.text(1) == translate(handler, TEXTS[1], **parameters)["translation"][0]


def test_what_cannot_be_told_bit_by_bit_comes_whole(handler):
    listener = Listener(handler)
    listener.session.join(0, ask(TEXTS[0], num_hypotheses=2, max_length=8))
    listener.session.join(1, ask(TEXTS[1], ("score",), max_length=8))
    listener.session.join(2, ask(TEXTS[2], ("alignment",), max_length=8))
    listener.step()
    listener.session.join(3, ask(TEXTS[3], ("alignment",), max_length=8))
    listener.run()
    assert [len(listener.told[key]) for key in range(4)] == [1, 1, 1, 1]
    assert listener.last(0)["translation"].shape == (1, 2)
    assert list(listener.last(1)) == ["score"]
    for key in (2, 3):
        found = json.loads(listener.last(key)["alignment"][0])
        alone = json.loads(translate(handler, TEXTS[key], ("alignment",), max_length=8)["alignment"][0])
        assert (found["source"], found["target"]) == (alone["source"], alone["target"])
        np.testing.assert_allclose(found["weights"], alone["weights"], atol=1e-3)


def test_chance_is_that_of_the_seed(handler):
    def sample(text=TEXTS[0], **parameters):
        return translate(handler, text, max_length=12, **parameters)["translation"][0]

    assert sample(temperature=3.0, seed=1) == sample(temperature=3.0, seed=1)
    assert len({sample(temperature=3.0, seed=seed) for seed in range(5)}) > 1
    greedy = sample(beam_size=1)
    assert sample(temperature=3.0, seed=1, top_k=1) == greedy
    assert sample(temperature=0.0, seed=1, beam_size=1) == greedy
    rows = handler.infer({"text": encode_texts(TEXTS)}, {"temperature": 3.0, "seed": 4, "max_length": 12}, ())
    assert rows.arrays["translation"].tolist() == [sample(text, temperature=3.0, seed=4) for text in TEXTS]


def test_chance_without_a_seed_is_chance(handler):
    found = {translate(handler, TEXTS[0], temperature=5.0, max_length=12)["translation"][0] for _ in range(5)}
    assert len(found) > 1


def test_bits_of_any_pieces_join_to_the_whole_text(handler):
    chance = random.Random(0)
    size = handler.vocabulary.get_piece_size()
    euro = handler.vocabulary.encode("5 € été ß 北 🙂 ", add_bos=False)
    for length in range(1, 200):
        pieces = [chance.randrange(4, size) for _ in range(length)]
        pieces[length // 2 : length // 2] = euro[: chance.randrange(len(euro) + 1)]
        stream, told = TextStream(), ""
        for end in range(1, len(pieces)):
            told += stream.extend(handler.decode_pieces(np.array(pieces[:end])))
        whole = handler.decode_pieces(np.array([*pieces, PAD]))
        assert told + stream.finish(whole) == whole


def test_rows_that_nobody_waits_for_leave_a_search_at_the_next_step(handler):
    steps = []

    def departed():
        steps.append(1)
        return [0, 1, 2] if len(steps) == 3 else ()

    handler.departed = departed
    try:
        parameters = {"beam_size": 1, "min_length": 10, "max_length": 10}
        left = handler.infer({"text": encode_texts(TEXTS)}, parameters).arrays
        assert len(steps) == 10
        assert left["translation"].tolist()[:3] == [b"", b"", b""]
        steps.clear()
        handler.infer({"text": encode_texts(TEXTS[:3])}, parameters)
        assert len(steps) == 3
    finally:
        handler.departed = tuple
    assert left["translation"][3] == translate(handler, TEXTS[3], **parameters)["translation"][0]
