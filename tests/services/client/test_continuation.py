"""`continue_text` and `infer language_model` against a stand-in for the server's side of the conversation."""

import json
import sys

import numpy as np
import pytest

from services.client import Client, cli
from services.client.continuation import Continuation, Writing, continue_text


def answer(request, inputs):
    """Say the prompt backwards, and that the one that asks for it is too long."""
    prompts = [prompt.decode() for prompt in inputs["prompt"]]
    return {
        "text": np.array([prompt[::-1].encode() for prompt in prompts], np.object_),
        "score": np.arange(len(prompts), dtype=np.float32) - 2,
        "row_errors": np.array(["too long" if prompt == "long" else "" for prompt in prompts], np.object_),
    }


@pytest.fixture
def language_model(server):
    server.answers["language_model"] = answer
    return server


def run(monkeypatch, server, *arguments):
    monkeypatch.setattr(sys, "argv", ["infer", "language_model", *arguments, "--url", server.url])
    cli.main()


def test_texts_travel_in_several_calls_and_a_failed_one_fails_alone(language_model):
    with Client(language_model.url) as client:
        found = client.perform(continue_text([f"{number:02}" for number in range(40)]))
        failed, fine = client.perform(continue_text(["long", "ab"], Writing(max_tokens=3, temperature=0.5)))
    assert found[31:33] == [Continuation("13", 29.0, "1-int8"), Continuation("23", -2.0, "1-int8")]
    assert (failed.error, fine.text) == ("too long", "ba")
    parameters = language_model.requests[-1].parameters
    assert (len(parameters), parameters["max_tokens"].int64_param) == (2, 3)
    assert parameters["temperature"].double_param == 0.5


def test_the_command_prints_the_prompt_and_how_it_goes_on(language_model, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, language_model, "abc", "--top-k", "5", "--seed", "7")
    assert ended.value.code == 0
    assert capsys.readouterr().out == "abccba\n"
    parameters = language_model.requests[-1].parameters
    assert (parameters["top_k"].int64_param, parameters["seed"].int64_param) == (5, 7)
    assert parameters["top_p"].double_param == 0.95


def test_the_command_says_why_there_is_nothing(language_model, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, language_model, "long")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "infer: too long\n"
    with pytest.raises(SystemExit):
        run(monkeypatch, language_model, "long", "--json")
    assert json.loads(capsys.readouterr().out)["error"] == "too long"
