"""`classify_texts` and `infer text_classifier` against a stand-in for the server's side of the conversation."""

import io
import json
import sys

import numpy as np
import pytest

from services.client import AsyncClient, Client, cli
from services.client.text_classification import classify_texts


def answer(request, inputs):
    """Say how long each text is; an empty one fails."""
    top = request.parameters["top_k"].int64_param
    texts = inputs["text"]
    labels = np.array([[f"{len(text)} bytes".encode(), b"other"][:top] for text in texts], np.object_)
    errors = np.array([b"" if text != b"-" else b"it is empty" for text in texts], np.object_)
    probabilities = np.array([[0.75, 0.25][:top]] * len(texts), np.float32)
    return {"label": labels, "probabilities": probabilities, "row_errors": errors}


@pytest.fixture
def texts(server):
    server.answers["text_classifier"] = answer
    server.descriptions["text_classifier"] = lambda response: response.properties.update({"kind": "text_classifier"})
    return server


def test_texts_of_like_length_travel_together_and_answers_keep_the_order(texts):
    seen = []
    texts.answers["text_classifier"] = lambda request, inputs: (
        seen.append(sorted({len(text.decode()) for text in inputs["text"]})) or answer(request, inputs)
    )
    rows = ["é" * (1 + row % 7) for row in range(70)]
    with Client(texts.url) as client:
        found = client.perform(classify_texts(rows, top=2))
    assert [each.label for each in found] == [f"{len(row.encode())} bytes" for row in rows]
    assert [score.probability for score in found[0].top] == [0.75, 0.25]
    assert sorted(request.inputs[0].shape[0] for request in texts.requests) == [6, 32, 32]
    assert sorted(seen) == [[1, 2, 3, 4], [4, 5, 6, 7], [7]]


async def test_it_is_awaitable_and_takes_one_text(texts):
    async with AsyncClient(texts.url) as client:
        (found,) = await client.perform(classify_texts("four"))
    assert (found.label, found.probability, found.error) == ("4 bytes", 0.75, "")


def test_no_text_is_refused(texts):
    with Client(texts.url) as client, pytest.raises(ValueError, match="there is no text to classify"):
        client.perform(classify_texts([]))


@pytest.fixture
def infer(texts, monkeypatch, capsys):
    def call(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["infer", "text_classifier", *arguments, "--url", texts.url])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, capsys.readouterr()

    return call


def test_the_command_prints_ranked_labels(infer):
    status, captured = infer("good [room]", "bad", "--top", "2")
    assert status == 0, captured.err
    lines = [line.replace("│", " ").split() for line in captured.out.splitlines() if "%" in line]
    assert lines == [
        ["good", "[room]", "11", "bytes", "75.0%"],
        ["other", "25.0%"],
        ["bad", "3", "bytes", "75.0%"],
        ["other", "25.0%"],
    ]


def test_the_command_reads_lines_and_writes_json_and_failures_set_its_status(infer):
    status, captured = infer("--json", stdin="good\n\n-\n")
    assert status == 1
    good, empty = json.loads(captured.out)
    assert (good["text"], good["top"]) == ("good", [{"label": "4 bytes", "probability": 0.75}])
    assert (empty["text"], empty["top"], empty["error"]) == ("-", [], "it is empty")
    status, captured = infer(stdin="\n")
    assert status == 2
    assert "there is no text" in captured.err
