"""Every command ends with the same statuses: 2 where it was asked wrongly, 1 where it was tried and failed."""

import sys

import pytest

import loadtests.cli
import model_store.cli
import services.cli
import services.client.cli
import training.cli
import training.release.cli
from model_store.exit_status import FAILED, STOPPED, WRONGLY_ASKED, exit_status_of
from model_store.signing import VerificationError
from services.client import ClientError

COMMANDS = {
    "train": training.cli.main,
    "release": training.release.cli.main,
    "store": model_store.cli.main,
    "serve": services.cli.main,
    "infer": services.client.cli.main,
    "loadtest": loadtests.cli.main,
}


@pytest.fixture
def run(monkeypatch, tmp_path):
    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", [command, *arguments])
        monkeypatch.setenv("MILLRACE_STORE", str(tmp_path))
        monkeypatch.setenv("MILLRACE_KEYS", str(tmp_path))
        with pytest.raises(SystemExit) as exit_:
            COMMANDS[command]()
        return exit_.value.code

    return run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("a text"), WRONGLY_ASKED),
        (LookupError("a name"), WRONGLY_ASKED),
        (FileNotFoundError("a file"), WRONGLY_ASKED),
        (FileExistsError("a run"), WRONGLY_ASKED),
        (VerificationError("a signature"), FAILED),
        (OSError("the disk"), FAILED),
        (RuntimeError("a child"), FAILED),
        (ClientError("NOT_FOUND", "a server's word"), FAILED),
        (KeyboardInterrupt(), STOPPED),
    ],
)
def test_an_error_decides_the_status(error, status):
    assert exit_status_of(error) == status


@pytest.mark.parametrize(
    "line",
    [
        "train nothing --out none",
        "release none",
        "store show nothing",
        "store verify nothing",
        "serve nothing",
        "loadtest run nothing --serve",
        "infer seq2seq text --url http://localhost:8001",
    ],
)
def test_a_name_or_file_that_is_not_there_is_asked_wrongly(run, line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(*line.split()) == WRONGLY_ASKED


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_asked_wrongly(run, command):
    assert run(command, "--unknown") == WRONGLY_ASKED


def test_a_server_that_does_not_answer_is_a_failure(run):
    assert run("infer", "seq2seq", "text", "--url", "127.0.0.1:1") == FAILED
