"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.interrupting import interrupted_after
from tests.training.runs import assert_same_weights
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.release.capture import capture
from training.signal_denoiser.data import load_data
from training.signal_denoiser.difference import compare_runs
from training.signal_denoiser.evaluate import BAND, NETWORK, WIENER
from training.signal_denoiser.network import load_network
from training.signal_denoiser.objective import DenoiserTask
from training.signal_denoiser.servable import describe_release
from training.signal_denoiser.session import make_task, train


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_and_pictures(finished_run):
    metrics = read_run(finished_run)["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"], metrics["n"]) == ("generated test", 40, 40)
    methods = evaluation["methods"]
    assert set(methods) == {NETWORK, WIENER, BAND}
    wiener = methods[WIENER]
    assert wiener["difference"] == pytest.approx(methods[NETWORK]["value"] - wiener["value"])
    assert wiener["difference_interval"][0] <= wiener["difference"] <= wiener["difference_interval"][1]
    groups = evaluation["by_disturbance"].values()
    weighed = sum(group["n"] * group[NETWORK]["value"] for group in groups)
    assert weighed / 40 == pytest.approx(methods[NETWORK]["value"])
    for name in ("signals.png", "gain_by_disturbance.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(
    finished_run, tiny_recipe, make_options, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.signal_denoiser.session.evaluate_run", lambda *given: {})
    with interrupted_after(DenoiserTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(tiny_recipe, make_options(tmp_path / "run"))
    train(tiny_recipe, make_options(tmp_path / "run", resume=True))
    assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_sixty_steps_clean_better_than_a_monitor(tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, width=8, depth=3, num_train=300, steps=60, batch_size=16)
    data = load_data("generated", tmp_path, recipe)
    torch.manual_seed(0)
    task = make_task(recipe, data, torch.device("cpu"), 0)
    before = task.validate()["gain_db"]
    for step in range(recipe.steps):
        task.train_step(step)
    assert before < 1
    assert task.validate()["gain_db"] > 4


@torch.no_grad()
def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    signals = spec.held_out.inputs["signal"]
    assert signals.shape == (40, 250)
    score = spec.held_out.score({"clean": spec.programs["main"].module(torch.from_numpy(signals)).numpy()})
    assert score.mean() == pytest.approx(read_run(finished_run)["metrics"]["gain_db"], abs=1e-3)
    methods = json.loads((finished_run / "evaluation.json").read_text())["methods"]
    assert spec.held_out.baseline.scores.mean() == pytest.approx(methods[BAND]["value"])
    assert spec.examples["signal"].shape == (3, 250)


def test_the_program_exports_with_any_number_of_rows(spec):
    exported = capture(spec.programs["main"], torch.device("cpu")).module()
    signals = torch.from_numpy(spec.held_out.inputs["signal"])
    for count in (1, 3, 8):
        torch.testing.assert_close(exported(signals[:count]), spec.programs["main"].module(signals[:count]))


def test_a_run_does_not_differ_from_itself_and_other_signals_are_no_comparison(finished_run, tmp_path):
    assert "no difference shown" in compare_runs(finished_run, finished_run)
    np.savez(tmp_path / "predictions.npz", gain_db=np.zeros(3), snr_db=np.zeros(3))
    with pytest.raises(ValueError, match="signals"):
        compare_runs(finished_run, tmp_path)
