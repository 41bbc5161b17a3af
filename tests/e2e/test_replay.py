"""`serve replay`: a kept request, the signed release that answered it, and whether both still agree."""

import numpy as np
import pytest
from typer.testing import CliRunner

from model_store.open_inference import messages
from model_store.signing import Keyring
from model_store.store import Store
from services.gateway.records import Record, RecordFolder, read_key
from services.replay import answer_again
from services.replay_cli import app


@pytest.fixture(scope="module")
def answer_once():
    """Answer by a real engine, and the same request again by the same answer."""
    answers = []

    async def answer(variant, record, engine):
        if not answers:
            answers.append(await answer_again(variant, record, engine))
        return answers[0]

    return answer


@pytest.fixture
def replay(released, answer_once, tmp_path, monkeypatch):
    """Keep a request of `scale` with an answer, and replay it."""
    monkeypatch.setattr("services.replay.answer_again", answer_once)
    monkeypatch.setenv("MILLRACE_KEYS", str(released.keys))
    monkeypatch.setenv("MILLRACE_RECORD_KEY", str(tmp_path / "records.key"))
    digest = Store(released.store, Keyring(released.keys)).open("scale", 1).digest

    def run(factor, release_digest=digest):
        request = messages().ModelInferRequest()
        request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        request.raw_input_contents.append(np.ones(4, np.float32).tobytes())
        answer = messages().ModelInferResponse()
        answer.outputs.add(name="y", datatype="FP32", shape=[1, 4])
        answer.raw_output_contents.append(np.full(4, factor, np.float32).tobytes())
        texts = {"moment": "2027-01-01T00:00:00+00:00", "caller": "phone", "model": "scale", "version": "1-eager"}
        contents = {"request": request.SerializeToString(), "answer": answer.SerializeToString()}
        record = Record(request_id="r-1", release_digest=release_digest, **texts, **contents)
        RecordFolder(tmp_path / "records", read_key(tmp_path / "records.key"), 10_000).write(record)
        options = ["--store", str(released.store), "--folder", str(tmp_path / "records"), "--threads", "1"]
        return CliRunner().invoke(app, ["r-1", *options]), digest

    return run


def test_what_the_release_answers_agrees(replay):
    result, digest = replay(2.0)
    assert result.exit_code == 0, result.output
    assert f"scale 1-eager, release {digest}: verified" in result.stdout
    assert "output 'y' agrees within" in result.stdout


def test_another_answer_does_not(replay):
    result, _ = replay(2.5)
    assert result.exit_code == 1
    assert "output 'y' deviates by 0.2 of its size from what was answered" in result.stdout


def test_another_release_under_that_number_is_refused(replay):
    result, digest = replay(2.0, "0" * 64)
    assert result.exit_code == 2
    assert f"has the digest {digest}; the record's has {'0' * 64}" in result.stderr
