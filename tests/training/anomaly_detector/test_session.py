"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.interrupting import interrupted_after
from tests.training.runs import assert_same_weights
from training.anomaly_detector.data import load_data
from training.anomaly_detector.difference import compare_runs
from training.anomaly_detector.evaluate import COMPONENTS, FEATURES
from training.anomaly_detector.network import load_network
from training.anomaly_detector.objective import DetectorTask
from training.anomaly_detector.program import answer_signals
from training.anomaly_detector.servable import describe_release
from training.anomaly_detector.session import make_task, train
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.release.capture import capture


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_by_label_and_pictures(finished_run, tiny_recipe, tmp_path):
    metrics = read_run(finished_run)["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"], metrics["n"]) == ("generated test", 40, 40)
    data = load_data("generated", tmp_path, tiny_recipe)
    assert set(evaluation["unusual"]) == {"all", *data.labels} - {data.usual}
    found = evaluation["unusual"]["all"]
    assert (found["n"], evaluation["unusual"]["ST elevation"]["n"]) == (20, 5)
    for method in (COMPONENTS, FEATURES):
        difference = found["area_under_curve"]["value"] - found[method]["value"]
        assert found[method]["difference"] == pytest.approx(difference)
    assert metrics["area_under_curve"] == pytest.approx(found["area_under_curve"]["value"], abs=1e-4)
    for name in ("signals.png", "deviations.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_the_threshold_keeps_the_share_of_usual_signals_that_was_asked_for(finished_run, tiny_recipe, tmp_path):
    network, _, stored = load_network(finished_run)
    data = load_data("generated", tmp_path, tiny_recipe)
    deviations = np.sort(answer_signals(network, data.validation).deviation)
    assert stored["threshold"] == deviations[19]  # the ⌈21 · 0.95⌉th of twenty


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(
    finished_run, tiny_recipe, make_options, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.anomaly_detector.session.evaluate_run", lambda *given: {})
    with interrupted_after(DetectorTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(tiny_recipe, make_options(tmp_path / "run"))
    train(tiny_recipe, make_options(tmp_path / "run", resume=True))
    assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_forty_steps_bring_back_more_of_usual_signals(tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, width=8, depth=3, num_train=200, steps=40, batch_size=16)
    torch.manual_seed(0)
    task = make_task(recipe, load_data("generated", tmp_path, recipe), torch.device("cpu"), 0)
    before = task.validate()["explained"]
    for step in range(recipe.steps):
        task.train_step(step)
    assert before < 0.1
    assert task.validate()["explained"] > 0.4


@torch.no_grad()
def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    signals = spec.held_out.inputs["signal"]
    assert signals.shape == (40, 250)
    _, deviation = spec.programs["main"].module(torch.from_numpy(signals))
    scores = spec.held_out.score({"deviation": deviation.numpy()})
    evaluation = json.loads((finished_run / "evaluation.json").read_text())["unusual"]["all"]
    assert spec.held_out.summarize(scores) == pytest.approx(evaluation["area_under_curve"]["value"])
    baseline = spec.held_out.summarize(spec.held_out.baseline.scores)
    assert baseline == pytest.approx(evaluation[COMPONENTS]["value"])
    (threshold,) = spec.parameters
    assert "at most 5 % of usual ones" in threshold.meaning


def test_the_program_exports_with_any_number_of_rows(spec):
    exported = capture(spec.programs["main"], torch.device("cpu")).module()
    signals = torch.from_numpy(spec.held_out.inputs["signal"])
    for count in (1, 3, 8):
        torch.testing.assert_close(exported(signals[:count]), spec.programs["main"].module(signals[:count]))


def test_a_run_does_not_differ_from_itself_and_other_signals_are_no_comparison(finished_run, tmp_path):
    assert "no difference shown" in compare_runs(finished_run, finished_run)
    np.savez(tmp_path / "predictions.npz", deviation=np.zeros(3), labels=np.zeros(3), is_unusual=np.zeros(3))
    with pytest.raises(ValueError, match="signals"):
        compare_runs(finished_run, tmp_path)
