"""Whole sessions on generated glyphs: train, interrupt, resume, evaluate, and steps against quality."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from tests.training.diffusion.conftest import TINY, make_options
from tests.training.interrupting import interrupted_after
from training.cli import app
from training.diffusion.data import load_data
from training.diffusion.objective import DiffusionTask
from training.diffusion.session import make_task, train
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.images.difference import compare_runs
from training.images.judge import open_judge

CPU = torch.device("cpu")


def test_a_run_leaves_network_figures_and_pictures(finished_run):
    for name in ("network.pt", "checkpoint.pt", "samples.png", "neighbours.png", "features.npz", "judge/network.pt"):
        assert (finished_run / name).is_file(), name
    figures = json.loads((finished_run / "evaluation.json").read_text())
    assert read_run(finished_run)["metrics"]["frechet"] == figures["frechet"]
    assert figures["data"] == "glyphs"
    assert figures["frechet"] > figures["frechet_floor"]
    assert sum(figures["class_shares"]) == pytest.approx(1)
    assert 0 <= figures["label_fidelity"] <= 1


def test_the_network_learns_to_tell_images_from_noise(finished_run):
    recipe = replace(TINY, epochs=3, lr=1e-2)
    data = load_data("glyphs", finished_run, recipe)
    task, num_steps = make_task(recipe, data, open_judge(finished_run / "judge", data, CPU), CPU, 0)
    losses = [float(task.train_step(step)["loss"]) for step in range(num_steps)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_an_interrupted_run_resumes_bit_exactly(finished_run, tmp_path, monkeypatch):
    recipe = replace(TINY, epochs=0.4, judge=str(finished_run / "judge"))
    monkeypatch.setattr("training.diffusion.session.evaluate_network", lambda *given, **named: {})
    whole = torch.load(train(recipe, make_options(tmp_path / "whole")) / "checkpoint.pt", weights_only=True)
    with interrupted_after(DiffusionTask, 3), pytest.raises(Interrupted):
        train(recipe, make_options(tmp_path / "parts"))
    again = train(recipe, make_options(tmp_path / "parts", resume=True))
    parts = torch.load(again / "checkpoint.pt", weights_only=True)
    for part in ("network", "average"):
        first, second = whole["task"][part], parts["task"][part]
        first, second = first.get("network", first), second.get("network", second)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_steps_are_measured_against_quality_for_each_sampler(finished_run):
    arguments = ["diffusion", "steps", str(finished_run), "--counts", "1,2", "--guidances", "1", "--samples", "20"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    points = json.loads((finished_run / "steps.json").read_text())
    asked = [(point["sampler"], point["steps"]) for point in points]
    assert asked == [("dpm-solver++", 1), ("dpm-solver++", 2), ("ddim", 1), ("ddim", 2)]
    # up to two steps the samplers are the same
    assert points[0]["frechet"] == pytest.approx(points[2]["frechet"])
    assert (finished_run / "steps.png").is_file()


def test_runs_are_compared_before_their_judge(finished_run, monkeypatch):
    monkeypatch.setattr("training.images.difference._REPEATS", 20)
    assert "+0 (95 % interval" in compare_runs(finished_run, finished_run)
