"""The `train` command, as a person types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from training.classifier.objective import ClassifierTask
from training.cli import app
from training.help import write_value
from training.models import list_kinds, load_model

TINY = ["--data", "glyphs", "--device", "cpu"]
for change in ("widths=8,16,16", "resolution=20", "epochs=1", "batch_size=75", "validation_fraction=0.75"):
    TINY += ["--set", change]


pytestmark = pytest.mark.usefixtures("no_pictures")


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


def test_interrupted_run_says_how_to_resume_resumes_and_is_made_longer(tmp_path, monkeypatch):
    step_once = ClassifierTask.train_step

    def step_then_interrupt(task, step):
        signal.raise_signal(signal.SIGINT)
        return step_once(task, step)

    monkeypatch.setattr(ClassifierTask, "train_step", step_then_interrupt)
    result = call(*TINY, "--out", tmp_path / "run", "--seed", 5)
    assert result.exit_code == 130
    assert f"continue with: train classifier --resume --out {tmp_path / 'run'}" in result.output
    monkeypatch.undo()

    refused = call("--resume", "--out", tmp_path / "run", "--seed", 6, "--set", "lr=9", "--set", "epochs=0.5")
    assert refused.exit_code == 2
    assert (
        "epochs alone may be raised; changed: seed 6 (was 5), epochs=0.5 (was 1.0), lr=9.0 (was 0.1)" in refused.output
    )
    result = call("--resume", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["steps"] == 8

    longer = call("--resume", "--out", tmp_path / "run", "--set", "epochs=1.5")
    assert longer.exit_code == 0, longer.output
    assert "12 steps instead of 8: after step 8 it goes on" in longer.output
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["metrics"]["steps"], record["recipe"]["epochs"]) == (12, 1.5)
    assert [entry["recipe"]["epochs"] for entry in record["extended"]] == [1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["classifier", "--preset", "huge"],
            "classifier has no preset 'huge'; there are: demo, full, resnet18, vit, deit",
        ),
        (["clasifier"], "unknown model 'clasifier'; there are: "),
        (["classifier", "--set", "epoch=3"], "no field 'epoch'; did you mean epochs?"),
        (["classifier", "--set", "epochs=-1"], "epochs must be positive, got -1.0"),
        (["classifier", "--tracker", "wandb"], "--tracker takes mlflow or mlflow:URI"),
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


def test_a_folder_of_few_pictures_just_works_and_says_where_they_went(tmp_path):
    random = np.random.default_rng(0)
    for kind in range(3):
        (tmp_path / "pictures" / f"kind{kind}").mkdir(parents=True)
        for number in range(80):
            pixels = random.integers(0, 160, (16, 16, 3), np.uint8)
            pixels[..., kind] += 90
            Image.fromarray(pixels).save(tmp_path / "pictures" / f"kind{kind}" / f"{number}.png")
    arguments = ["--data", f"folder:{tmp_path / 'pictures'}", "--out", tmp_path / "run", "--device", "cpu"]
    done = call(*arguments, "--set", "widths=8,16,16", "--set", "resolution=20", "--set", "epochs=4")
    assert done.exit_code == 0, done.output
    assert "pictures: 154 training, 38 validation, 48 test images of 20×20×3" in done.output
    assert "154 training images are few for this recipe: batch_size=19 instead of 50" in done.output
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["metrics"]["n"], record["recipe"]["batch_size"]) == (48, 19)
    assert record["metrics"]["accuracy"] > 0.9


@pytest.mark.parametrize("kind", list_kinds())
def test_help_lists_presets_data_sets_fields_and_verbs(kind):
    model = load_model(kind)
    told = CliRunner().invoke(app, [kind, "--help"]).output
    for name in (*model.presets, *model.data_sets, *model.commands):
        assert re.search(rf"^ +{re.escape(name)}\b", told, re.M), name
    for name, value in vars(type(model.presets["demo"])()).items():
        assert f"\n    {name}={write_value(value)} " in told
    assert ("--inspect" in told) == (model.inspect is not None)


def test_threads_are_told_how_to_wait_before_torch_is_loaded():
    order = "import sys; sys.modules['torch'] = None\ntry:\n    import {module}\nexcept ImportError:\n    pass\n"
    for module in ("training.cli", "training.release.cli"):
        code = order.format(module=module) + "import os; print(os.environ['GOMP_SPINCOUNT'])"
        environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
        told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "10000"
