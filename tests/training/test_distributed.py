"""Training by two processes on the CPU, against the same training by one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from host.ports import find_free_ports
from tests.training.distributed_trainings import NUM_STEPS, TASKS, fit_task
from tests.training.engine.test_events import read_events
from training.cli import app
from training.engine.options import TrainOptions
from training.images.glyphs import draw_glyphs
from training.models import load_model

LOSS_RTOL = 1e-5
WEIGHT_ATOL = 2e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes have left: see distributed_trainings.main. `begun` was begun by this one."""
    folder = tmp_path_factory.mktemp("distributed")
    images, labels = draw_glyphs(200, seed=0)
    rest, test = slice(20, None), slice(20)
    np.savez(
        folder / "images.npz",
        images=images[rest],
        labels=labels[rest],
        test_images=images[test],
        test_labels=labels[test],
    )
    fit_task(lambda: TASKS["compact"](folder), folder / "begun", num_steps=3)
    torchrun = [
        "timeout",
        "100",
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    command = [*torchrun, "-m", "tests.training.distributed_trainings", str(folder)]
    command += map(str, find_free_ports(len(TASKS) + 3))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def of_one(folder):
    """The same trainings by one process."""
    for name, make in TASKS.items():
        fit_task(lambda make=make: make(folder), folder / name)
    return folder


def read_losses(run):
    return [event.value for event in read_events(run).Scalars("train/loss")]


def assert_alike(first, second):
    """Compare what two runs have come to: weights, their average and the optimizer's momenta."""
    ours, theirs = (torch.load(run / "checkpoint.pt", weights_only=True) for run in (first, second))
    assert ours["progress"]["step"] == theirs["progress"]["step"] == NUM_STEPS
    torch.testing.assert_close(ours["task"], theirs["task"], rtol=1e-3, atol=WEIGHT_ATOL)


@pytest.mark.parametrize("name", TASKS)
def test_two_processes_train_as_one_does(folder, of_one, name):
    losses = read_losses(of_one / name)
    assert len(losses) == NUM_STEPS
    assert losses[-1] != pytest.approx(losses[0], rel=0.01)
    assert read_losses(folder / "process0" / name) == pytest.approx(losses, rel=LOSS_RTOL)
    assert_alike(folder / "process0" / name, of_one / name)


def test_two_processes_go_on_where_one_stopped(folder, of_one):
    assert_alike(folder / "begun", of_one / "compact")


def test_one_process_goes_on_where_a_signal_to_one_of_two_stopped_both(folder, of_one):
    run = folder / "process0" / "stopped"
    assert torch.load(run / "checkpoint.pt", weights_only=True)["progress"]["step"] == 2
    fit_task(lambda: TASKS["compact"](folder), run, resume=True)
    assert_alike(run, of_one / "compact")


def test_the_leader_alone_writes(folder):
    assert not [path for path in (folder / "process1").rglob("*") if path.is_file()]


def test_the_command_leaves_one_finished_run(folder):
    record = json.loads((folder / "process0" / "command" / "run.json").read_text())
    assert record["finished"]
    assert record["metrics"]["n"] == 20
    assert (folder / "process0" / "command" / "network.pt").is_file()
    assert not (folder / "process1" / "command").exists()


@pytest.mark.parametrize("arguments", [["gan"], ["seq2seq", "comparison"]])
def test_what_cannot_be_divided_refuses_several_processes(monkeypatch, arguments):
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code != 0
    assert "does not divide its work, but 2 processes were started; start one" in answer.output


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("classifier", {"batch_size": 1}, "batch_size=1 gives not one image to each of 2 processes"),
        ("classifier", {"quantize_aware": True}, "quantize_aware observes the ranges of whole batches"),
        ("seq2seq", {"teacher": "runs/none"}, "one process asks the teacher"),
    ],
)
def test_recipes_whose_work_cannot_be_divided_are_refused_before_a_run_is_begun(
    monkeypatch, tmp_path, kind, change, reason
):
    monkeypatch.setattr(f"training.{kind}.session.num_processes", lambda: 2)
    model = load_model(kind)
    recipe = model.presets["demo"]
    options = TrainOptions(
        model=kind, preset="demo", data=recipe.data, data_root=tmp_path, out=tmp_path / "run", device="cpu"
    )
    with pytest.raises(ValueError, match=reason):
        model.train(replace(recipe, **change), options)
    assert not (tmp_path / "run").exists()
