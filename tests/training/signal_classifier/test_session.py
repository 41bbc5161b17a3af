"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.cli import app
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.labels.difference import compare_runs, read_right
from training.release.capture import capture
from training.signal_classifier.evaluate import CENTROID, FEATURES, NETWORK
from training.signal_classifier.network import load_network
from training.signal_classifier.objective import SignalTask
from training.signal_classifier.servable import describe_release
from training.signal_classifier.session import train


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_and_pictures(finished_run):
    metrics = read_run(finished_run)["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"], metrics["n"]) == ("generated test", 40, 40)
    right, _ = read_right(finished_run)
    methods = evaluation["methods"]
    assert set(methods) == {NETWORK, FEATURES, CENTROID}
    assert metrics["accuracy"] == methods[NETWORK]["value"] == pytest.approx(right.mean())
    features = methods[FEATURES]
    assert features["difference"] == pytest.approx(right.mean() - features["value"])
    assert features["difference_interval"][0] <= features["difference"] <= features["difference_interval"][1]
    groups = evaluation["by_disturbance"]["groups"]
    assert sum(group["n"] * group["accuracy"] for group in groups.values()) == pytest.approx(right.sum())
    for name in ("confusion_matrix.png", "reliability.png", "signals.png", "accuracy_by_disturbance.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(
    finished_run, tiny_recipe, make_options, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.signal_classifier.session.evaluate_run", lambda *given: {})
    with interrupted_after(SignalTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(tiny_recipe, make_options(tmp_path / "run"))
    train(tiny_recipe, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


@torch.no_grad()
def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    signals = spec.held_out.inputs["signal"]
    assert signals.shape == (40, 250)
    probabilities = spec.programs["main"].module(torch.from_numpy(signals)).numpy()
    score = spec.held_out.score({"probabilities": probabilities})
    assert score.mean() == pytest.approx(read_run(finished_run)["metrics"]["accuracy"])
    assert spec.held_out.binary
    assert spec.held_out.baseline.scores.sum() == 8
    assert spec.handler_options["labels"][2] == "atrial fibrillation"
    assert spec.examples["signal"].shape == (3, 250)


def test_calibration_signals_are_training_signals(spec):
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["main"].calibration()])
    assert rows.shape == (12, 250)
    assert not {row.tobytes() for row in spec.held_out.inputs["signal"]} & {row.tobytes() for row in rows}


def test_the_program_exports_with_any_number_of_rows(spec):
    exported = capture(spec.programs["main"], torch.device("cpu")).module()
    signals = torch.from_numpy(spec.held_out.inputs["signal"])
    for count in (1, 3, 8):
        torch.testing.assert_close(exported(signals[:count]), spec.programs["main"].module(signals[:count]))


def test_networks_stand_beside_simpler_methods_in_one_table(tmp_path, monkeypatch):
    monkeypatch.setattr("training.labels.record.draw_all", lambda *given: None)
    monkeypatch.setattr("training.signal_classifier.evaluate.draw_signals", lambda *given: None)
    monkeypatch.setattr("training.signal_classifier.evaluate.draw_groups", lambda *given: None)
    sizes = "num_samples=250,width=8,num_layers=1,num_heads=2,num_train=40,num_validation=20,num_test=30,steps=1"
    changes = [part for change in sizes.split(",") for part in ("--set", change)]
    result = CliRunner().invoke(app, ["signal_classifier", "comparison", "--out", str(tmp_path), *changes])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    names = [line.split(" | ")[0].strip("| ") for line in lines[2:]]
    assert names == ["cnn", "transformer", "lstm", "gru", FEATURES, CENTROID]
    assert lines[6].endswith("| – | – |")
    assert "no difference shown" in compare_runs(tmp_path / "cnn", tmp_path / "cnn")


def test_the_command_line_trains_on_a_table_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr("training.labels.record.draw_all", lambda *given: None)
    rows = [[np.sin(n + step * (1 + n % 2)) for step in range(64)] + [n % 2] for n in range(60)]
    (tmp_path / "own.csv").write_text("\n".join(",".join(f"{value:.4f}" for value in row) for row in rows))
    changes = ["width=8", "num_heads=2", "num_layers=1", "steps=2", "batch_size=8"]
    arguments = ["signal_classifier", "--data", "table:own.csv", "--data-root", str(tmp_path)]
    arguments += ["--out", str(tmp_path / "run"), *(part for change in changes for part in ("--set", change))]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "minus_features" in result.output
    assert not (tmp_path / "run" / "accuracy_by_disturbance.png").exists()
    (tmp_path / "own.csv").write_text("1,2,3\n")
    again = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert again.exit_code == 2
    assert "own.csv has 1 different labels" in again.output
