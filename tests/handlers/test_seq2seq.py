import json
import shutil

import numpy as np
import pytest
import torch

from handlers.archive import open_handler
from tests.tiny_translator import TEXTS, build_tiny_network, describe_tiny_translator
from training.release.capture import capture
from training.release.content import lay_out
from training.release.left_out import LeftOutError
from training.release.reference import open_reference
from training.seq2seq.servable import encode_texts
from training.sequences.vocabulary import BEGIN, END


@pytest.fixture(scope="module")
def network():
    return build_tiny_network()


@pytest.fixture(scope="module")
def spec(network, tmp_path_factory):
    return describe_tiny_translator(network, tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def handler(spec, tmp_path_factory):
    return open_reference(spec, torch.device("cpu"), tmp_path_factory.mktemp("handler"))


def translate(handler, texts=TEXTS, **parameters):
    return handler.infer({"text": encode_texts(tuple(texts))}, parameters)


def write_greedily(network, handler, text, limit):
    """The whole sentence anew for each piece: slow, and simple enough to be right."""
    source = torch.tensor([handler.encode_text(text.encode())])
    written, total = [BEGIN], 0.0
    while len(written) <= limit:
        logits = network(source, torch.tensor([written]))[0, -1]
        log_probabilities = logits.index_fill(0, torch.tensor([0, 1, 2]), -torch.inf).log_softmax(0)
        piece = int(log_probabilities.argmax())
        total += float(log_probabilities[piece])
        written.append(piece)
        if piece == END:
            break
    length = len(written) - 1
    return handler.vocabulary.decode([piece for piece in written[1:] if piece != END]), total / length


def test_greedy_search_writes_what_the_network_finds_likeliest(network, handler):
    outputs = translate(handler, beam_size=1, max_length=12).arrays
    for index, text in enumerate(TEXTS):
        limit = min(12, 2 * len(handler.encode_text(text.encode())) + 10)
        expected, score = write_greedily(network, handler, text, limit)
        assert outputs["translation"][index].decode() == expected
        assert outputs["score"][index] == pytest.approx(score, abs=1e-4)


def test_a_row_does_not_depend_on_its_neighbours(handler):
    together = translate(handler, num_hypotheses=3).arrays
    for index, text in enumerate(TEXTS):
        alone = translate(handler, [text], num_hypotheses=3).arrays
        assert alone["translation"][0].tolist() == together["translation"][index].tolist()
        np.testing.assert_allclose(alone["score"][0], together["score"][index], rtol=1e-4)


def search_simply(network, source, num_beams, limit):
    """Beam search without cache or batch: every step reads all that each beam has written."""
    beams, finished = [(0.0, [BEGIN])], []
    for length in range(1, limit + 1):
        grown = []
        for score, written in beams:
            logits = network(source, torch.tensor([written]))[0, -1]
            log_probabilities = logits.index_fill(0, torch.tensor([0, 1, 2]), -torch.inf).log_softmax(0)
            values, pieces = log_probabilities.topk(num_beams + 1)
            grown += [(score + float(v), [*written, int(p)]) for v, p in zip(values, pieces, strict=True)]
        grown.sort(key=lambda beam: -beam[0])
        finished += [
            (score / length, written) for score, written in grown[:num_beams] if written[-1] == END or length == limit
        ]
        if len(finished) >= num_beams:
            break
        beams = [beam for beam in grown if beam[1][-1] != END][:num_beams]
    return sorted(finished, key=lambda beam: -beam[0])


@pytest.mark.parametrize("num_beams", [2, 5])
def test_beam_search_finds_what_a_search_without_cache_finds(network, handler, num_beams):
    outputs = translate(handler, beam_size=num_beams, num_hypotheses=num_beams, max_length=7).arrays
    for index, text in enumerate(TEXTS):
        source = torch.tensor([handler.encode_text(text.encode())])
        expected = search_simply(network, source, num_beams, min(7, 2 * source.shape[1] + 10))[:num_beams]
        np.testing.assert_allclose(outputs["score"][index], [score for score, _ in expected], atol=1e-4)
        texts = [handler.vocabulary.decode([piece for piece in written if piece > END]) for _, written in expected]
        assert [text.decode() for text in outputs["translation"][index]] == texts


def test_hypotheses_come_best_first(handler):
    outputs = translate(handler, num_hypotheses=4).arrays
    assert outputs["translation"].shape == outputs["score"].shape == (4, 4)
    assert (np.diff(outputs["score"], axis=1) <= 0).all()
    best = translate(handler, beam_size=4).arrays
    assert best["translation"].tolist() == outputs["translation"][:, 0].tolist()


@pytest.mark.parametrize("length", [1, 4])
def test_lengths_are_kept_within_bounds(handler, length):
    outputs = translate(handler, min_length=length, max_length=length, alignments=True).arrays
    assert [len(json.loads(text)["target"]) for text in outputs["alignment"]] == [length] * 4


def test_alignments_have_a_row_for_each_piece_and_shares_of_the_source(handler):
    alone = translate(handler, TEXTS[2:3], alignments=True, max_length=5).arrays["alignment"]
    together = translate(handler, alignments=True, max_length=5).arrays["alignment"]
    for index, data in enumerate(together):
        alignment = json.loads(data)
        shares = np.array(alignment["weights"])
        assert shares.shape == (len(alignment["target"]), len(alignment["source"]))
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-2)
        assert alignment["source"][-1] == "</s>"
        if index == 2:
            np.testing.assert_allclose(shares, json.loads(alone[0])["weights"], atol=1e-3)
    assert "alignment" not in translate(handler).arrays


def test_alignments_are_computed_where_only_the_output_is_requested(handler):
    inputs = {"text": encode_texts(TEXTS)}
    (wanted,) = handler.infer(inputs, {"alignments": True}, ("alignment",)).arrays.values()
    (requested,) = handler.infer(inputs, {}, ("alignment",)).arrays.values()
    assert requested.tolist() == wanted.tolist()
    assert len(json.loads(requested[0])["weights"]) == len(json.loads(requested[0])["target"]) > 0


def test_more_beams_than_the_decoder_was_exported_for_are_refused(handler):
    with pytest.raises(ValueError, match="9 beams are wanted, the released decoder takes 8"):
        translate(handler, ["red"], beam_size=9)


def test_text_over_the_limit_fails_alone_with_the_limit_named(handler):
    outputs = translate(handler, ["red", "dog " * 40, "blue"])
    assert outputs.row_errors[0] is None
    assert "the limit is 39" in outputs.row_errors[1]
    assert outputs.arrays["translation"][1] == b""
    assert outputs.arrays["score"][1] == 0
    assert outputs.arrays["translation"][0] == translate(handler, ["red"]).arrays["translation"][0]


@pytest.mark.parametrize(("data", "message"), [(b"\xff\xfe", "no UTF-8"), (b"", "empty"), (b" \n", "empty")])
def test_what_is_no_text_fails_alone(handler, data, message):
    outputs = handler.infer({"text": np.array([b"red", data], np.object_)}, {})
    assert outputs.row_errors[0] is None
    assert message in outputs.row_errors[1]


@pytest.mark.parametrize("text", ["漢字", "🙂 ok", "Ωμέγα", "a\u0301\u0327", "\u200f\u202e"])
def test_any_unicode_is_translated(handler, text):
    outputs = translate(handler, [text, "red"])
    assert len(outputs.arrays["translation"]) == 2
    outputs.arrays["translation"][0].decode()


def test_case_is_folded_where_the_model_was_trained_so(handler):
    loud, quiet = translate(handler, ["RED Dog", "red dog"]).arrays["translation"]
    assert loud == quiet


def test_captured_programs_translate_as_the_network_does(spec, handler, tmp_path):
    programs = {role: tmp_path / f"{role}.pt2" for role in spec.programs}
    for role, program in spec.programs.items():
        torch.export.save(capture(program, torch.device("cpu")), programs[role])
    target = {"device": "cpu", "capability": "", "torch_version": torch.__version__.split("+")[0]}
    (tmp_path / "content").mkdir()
    lay_out(tmp_path / "content", spec, release=1, variant="eager", programs=programs, target=target)
    captured = open_handler(tmp_path / "content", "cpu")
    for parameters in ({}, {"beam_size": 1}, {"beam_size": 8}):
        expected, found = translate(handler, **parameters).arrays, translate(captured, **parameters).arrays
        assert found["translation"].tolist() == expected["translation"].tolist()
        np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-4)
    alone = translate(captured, TEXTS[1:2]).arrays["translation"][0]
    assert alone == translate(handler).arrays["translation"][1]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["compiled", "bf16", "int8"])
def test_compiled_variants_translate_alike(spec, handler, tmp_path, variant):
    from training.release.variants import Blueprint, make_program

    programs = {}
    for role, program in spec.programs.items():
        eager = tmp_path / f"{role}.pt2"
        torch.export.save(capture(program, torch.device("cpu")), eager)
        folder = tmp_path / variant / role
        blueprint = Blueprint(
            variant=variant, source=eager, folder=folder, device="cpu", quantization=program.quantization
        )
        try:
            programs[role] = make_program(blueprint)
        except LeftOutError as error:
            pytest.skip(str(error))
    target = {"device": "cpu", "capability": "", "torch_version": torch.__version__.split("+")[0]}
    (tmp_path / "content").mkdir()
    lay_out(tmp_path / "content", spec, release=1, variant=variant, programs=programs, target=target)
    compiled = open_handler(tmp_path / "content", "cpu")
    for parameters in ({"max_length": 3}, {"beam_size": 1, "max_length": 3}):
        expected, found = translate(handler, **parameters).arrays, translate(compiled, **parameters).arrays
        if variant == "compiled":
            assert found["translation"].tolist() == expected["translation"].tolist()
        np.testing.assert_allclose(found["score"], expected["score"], atol=1e-3 if variant == "compiled" else 0.2)
    shutil.rmtree(tmp_path / "content")
