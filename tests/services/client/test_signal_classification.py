"""`classify_signals` and `infer signal_classifier` against a stand-in for the server's side of the conversation."""

import json
import sys

import numpy as np
import pytest

from services.client import AsyncClient, Client, cli
from services.client.signal_classification import classify_signals


def answer(request, inputs):
    """Name each signal by its first sample; one with a gap fails."""
    top = request.parameters["top_k"].int64_param
    signals = inputs["signal"]
    labels = np.array([[f"{row[0]:g}".encode(), b"other"][:top] for row in signals], np.object_)
    errors = np.array([b"a gap" if np.isnan(row).any() else b"" for row in signals], np.object_)
    probabilities = np.array([[0.75, 0.25][:top]] * len(signals), np.float32)
    return {"label": labels, "probabilities": probabilities, "row_errors": errors}


def describe(response):
    response.properties["kind"] = "signal_classifier"
    response.inputs.add(name="signal", datatype="FP32", shape=[-1, 4])


@pytest.fixture
def classifier(server):
    server.answers["signal_classifier"], server.descriptions["signal_classifier"] = answer, describe
    return server


def test_the_last_samples_of_each_signal_go_in_several_calls(classifier):
    with Client(classifier.url) as client:
        found = client.perform(classify_signals([np.arange(6) + row for row in range(40)], top=2))
    assert sorted(request.inputs[0].shape[0] for request in classifier.requests) == [8, 32]
    assert [each.label for each in found] == [str(row + 2) for row in range(40)]
    assert [score.probability for score in found[0].top] == [0.75, 0.25]


async def test_it_is_awaitable_too(classifier):
    async with AsyncClient(classifier.url) as client:
        (found,) = await client.perform(classify_signals({"a": np.ones(4)}))
    assert (found.label, found.error) == ("1", "")


@pytest.mark.parametrize(
    ("signals", "model", "message"),
    [
        ([np.ones(3)], "signal_classifier", r"series 0 has shape \[3\]; the model takes the last 4 values of a series"),
        ([], "signal_classifier", "there is no series: give one at least"),
        ([np.ones(4)], "double", "double takes no signal: it is no signal classifier"),
    ],
)
def test_what_cannot_be_classified_is_refused(classifier, signals, model, message):
    with Client(classifier.url) as client, pytest.raises(ValueError, match=message):
        client.perform(classify_signals(signals, model=model))
    assert classifier.requests == []


def test_the_command_names_columns_and_says_why_one_failed(classifier, monkeypatch, capsys, tmp_path):
    (tmp_path / "a.csv").write_text("lead,gap\n5,1\n1,\n1,1\n1,1\n")

    def infer(*options):
        arguments = ["infer", "signal_classifier", str(tmp_path / "a.csv"), *options, "--url", classifier.url]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code, capsys.readouterr().out

    status, printed = infer("--top", "2")
    assert status == 1
    lines = [line.replace("│", " ").split() for line in printed.splitlines() if "│" in line]
    assert lines == [["lead", "5", "75.0%"], ["other", "25.0%"], ["gap", "a", "gap"]]
    status, printed = infer("--json")
    lead, gap = json.loads(printed)
    assert (lead["signal"], lead["top"], gap["error"]) == ("lead", [{"label": "5", "probability": 0.75}], "a gap")
