"""`k8s smoke` against a real server."""

import shutil

import pytest
from typer.testing import CliRunner

from k8s.cli import app
from model_store.signing import Keyring
from model_store.store import Store
from tests.e2e.conftest import describe_scale
from training.release.cli import release_model


@pytest.fixture
def smoke(released, served, monkeypatch):
    monkeypatch.setenv("MILLRACE_KEYS", str(released.keys))

    def smoke(*arguments):
        return CliRunner().invoke(
            app, ["smoke", "--store", str(released.store), "--url", served.grpc, "--timeout-s", "5", *arguments]
        )

    return smoke


def test_every_deployed_model_answers_a_signed_example(smoke):
    result = smoke()
    assert result.exit_code == 0, result.output
    assert [line.split(" answered in ")[0] for line in result.stdout.splitlines()] == [
        "brightness 1-eager",
        "scale 1-eager",
        "shades 1-eager",
    ]


def test_a_release_that_is_not_served_is_a_failure(smoke, released, tmp_path):
    # In a store of its own: the server follows the one that it was started with.
    shutil.copytree(released.store, tmp_path / "store")
    release_model(describe_scale(), Store(tmp_path / "store", Keyring(released.keys)), "cpu", ["eager"])
    result = smoke("--models", "scale", "--store", str(tmp_path / "store"), "--timeout-s", "1")
    assert result.exit_code == 1
    assert "scale 2-eager" in result.output
