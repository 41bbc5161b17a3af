"""The `train` command, as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from training.classifier.objective import ClassifierTask
from training.cli import app

TINY = ["--data", "glyphs", "--device", "cpu"]
for change in ("widths=8,16,16", "resolution=20", "epochs=1", "batch_size=200", "num_validation=1800"):
    TINY += ["--set", change]


def call(*arguments):
    return CliRunner().invoke(app, ["classifier", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    result = call(*TINY, "--out", out)
    assert result.exit_code == 0, result.output
    return out, result.output


def test_trains_and_prints_figures(finished_run):
    out, output = finished_run
    record = json.loads((out / "run.json").read_text())
    assert f"accuracy           {record['metrics']['accuracy']}" in output
    assert record["recipe"]["widths"] == [8, 16, 16]
    assert (record["data"], record["preset"], record["seed"]) == ("glyphs", "demo", 0)


def test_refuses_to_write_over_a_run_and_overwrites_on_request(finished_run):
    out, _ = finished_run
    result = call(*TINY, "--out", out)
    assert result.exit_code == 2
    assert "use --resume, --overwrite, or another --out" in result.output
    assert call(*TINY, "--out", out, "--overwrite").exit_code == 0


def test_compares_two_runs(finished_run):
    out, _ = finished_run
    result = call("--compare", out, out)
    assert result.exit_code == 0
    assert "McNemar p = 1: no difference shown" in result.output


def test_interrupted_run_says_how_to_resume_and_resumes(tmp_path, monkeypatch):
    step_once = ClassifierTask.train_step

    def step_then_interrupt(task, step):
        signal.raise_signal(signal.SIGINT)
        return step_once(task, step)

    monkeypatch.setattr(ClassifierTask, "train_step", step_then_interrupt)
    result = call(*TINY, "--out", tmp_path / "run", "--seed", 5)
    assert result.exit_code == 130
    assert f"continue with: train classifier --resume --out {tmp_path / 'run'}" in result.output
    monkeypatch.undo()

    refused = call("--resume", "--out", tmp_path / "run", "--seed", 6, "--set", "epochs=9")
    assert refused.exit_code == 2
    assert "changed: seed 6 (was 5), --set epochs=9" in refused.output
    result = call("--resume", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["steps"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classifier", "--preset", "huge"], "classifier has no preset 'huge'; there are: demo, full, resnet18"),
        (["clasifier"], "unknown model 'clasifier'; there are: "),
        (["classifier", "--set", "epoch=3"], "no field 'epoch'; did you mean epochs?"),
        (["classifier", "--set", "epochs=-1"], "epochs must be positive, got -1.0"),
        (["classifier", "--device", "tpu"], "unknown device 'tpu'"),
        (["classifier", "--resume", "--out", "nowhere"], "nowhere is no training run"),
    ],
)
def test_errors_say_what_to_do(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not list(tmp_path.iterdir())


def test_threads_are_told_how_to_wait_before_torch_is_loaded():
    order = "import sys; sys.modules['torch'] = None\ntry:\n    import {module}\nexcept ImportError:\n    pass\n"
    for module in ("training.cli", "training.release.cli"):
        code = order.format(module=module) + "import os; print(os.environ['GOMP_SPINCOUNT'])"
        environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
        told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "10000"
