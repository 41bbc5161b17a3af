import io

import numpy as np
import pytest
from rich.console import Console

from loadtests.bench.lengths import CALLERS, LengthsError, compare_lengths, read_texts
from loadtests.subject import Subject
from model_store.examples import write_examples
from model_store.interface import Tensor
from tests.loadtests.conftest import make_manifest
from tests.services.client.open_inference_server import run_server


@pytest.fixture
def subject(tmp_path):
    texts = np.array([b"word " * count for count in range(12, 0, -1)], np.object_)
    write_examples(tmp_path / "examples.npz", {"text": texts})
    text = Tensor(name="text", datatype="BYTES", shape=(-1,), meaning="a text", size_sets_time=True)
    manifest = make_manifest("int8", model="seq2seq").model_copy(update={"inputs": (text,), "input_sets": (("text",),)})
    return Subject(manifest=manifest, examples_path=tmp_path / "examples.npz", is_default=True)


def test_short_texts_are_the_shortest_examples_and_long_ones_are_joined(subject):
    texts = read_texts(subject, joined=3)
    assert [len(text) for text in texts.short] == [5 * count for count in range(1, CALLERS + 1)]
    assert texts.long[0].split() == [b"word"] * (12 + 11 + 10)
    assert len(texts.long) == CALLERS


def test_a_model_whose_rows_take_the_same_time_is_refused(tmp_path):
    subject = Subject(manifest=make_manifest("int8"), examples_path=tmp_path / "none.npz", is_default=True)
    with pytest.raises(LengthsError, match="double 1-int8 has no input"):
        read_texts(subject, joined=3)


def test_both_kinds_of_callers_are_measured_with_and_without_long_texts(subject):
    console = Console(file=io.StringIO(), width=200)
    with run_server() as server:
        compare_lengths(subject, server.url, joined=3, repeats=1, measure_s=0.05, console=console)
        sizes = {len(request.raw_input_contents[0]) for request in server.requests}
    assert len(sizes) == 2 * CALLERS
    printed = console.file.getvalue()
    assert "8 short texts of 22 bytes, 8 long ones of" in printed
    assert "sent together: beside long ones" in printed
    assert "sent without pause: beside long ones" in printed
    assert "(bar ≤ 2×)" in printed
