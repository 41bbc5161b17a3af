"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.cli import app
from training.engine.interruption import Interrupted
from training.engine.options import TrainOptions
from training.engine.runs import train_all
from training.engine.seeds import generator_for
from training.forecaster.comparison import compare_networks, format_table
from training.forecaster.data import load_data
from training.forecaster.difference import compare_runs
from training.forecaster.network import load_network
from training.forecaster.objective import ForecasterTask, pinball_loss
from training.forecaster.servable import describe_release
from training.forecaster.session import make_task, train
from training.release.capture import capture
from training.release.dynamic_quantization import quantize_dynamically
from training.sequences.scaling import measure_scale

make_options = partial(runs.make_options, model="forecaster", data="generated")


@pytest.fixture(scope="module")
def finished_run(tiny_recipe, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_and_pictures(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"], evaluation["num_clusters"]) == ("generated test", 40, 40)
    figures = {(figure["method"], figure["metric"]): figure for figure in evaluation["figures"]}
    assert {method for method, _ in figures} == {"network", "seasonal-naive", "linear"}
    assert {metric for _, metric in figures} == {"pinball", "mase", "coverage"}
    own, naive = figures["network", "pinball"], figures["seasonal-naive", "pinball"]
    assert metrics["pinball"] == pytest.approx(own["value"], abs=1e-4)
    assert own["interval"][0] < own["value"] < own["interval"][1]
    assert naive["difference"][0] == pytest.approx(own["value"] - naive["value"])
    assert naive["difference"][1] < naive["difference"][0] < naive["difference"][2]
    assert metrics["saved_percent"] == pytest.approx(100 * (1 - own["value"] / naive["value"]), abs=0.01)
    for name in ("fans.png", "errors_by_horizon.png", "calibration.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(finished_run, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("training.forecaster.session.evaluate_run", lambda run, data: {})
    with interrupted_after(ForecasterTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(tiny_recipe, make_options(tmp_path / "run"))
    train(tiny_recipe, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    histories = spec.held_out.inputs["history"]
    assert histories.shape == (40, 24)
    with torch.no_grad():
        quantiles = spec.programs["main"].module(torch.from_numpy(histories)).numpy()
    names = [output.name for output in spec.outputs]
    assert names == ["q10", "q25", "q50", "q75", "q90"]
    scores = spec.held_out.score({name: quantiles[..., level] for level, name in enumerate(names)})
    saved = json.loads((finished_run / "run.json").read_text())["metrics"]["saved_percent"]
    assert spec.held_out.aggregate(scores) == pytest.approx(saved, abs=0.01)
    assert spec.margin == 0.5
    assert spec.examples["history"].shape == (3, 24)
    assert [(parameter.name, parameter.maximum) for parameter in spec.parameters] == [("horizon", 6)]


def test_calibration_windows_are_training_windows(spec):
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["main"].calibration()])
    assert rows.shape == (12, 24)
    held_out = {row.tobytes() for row in spec.held_out.inputs["history"]}
    assert not held_out & {row.tobytes() for row in rows}


@pytest.fixture(scope="module")
def captured(spec):
    return capture(spec.programs["main"], torch.device("cpu"))


def test_the_program_exports_with_any_number_of_rows(spec, captured):
    exported = captured.module()
    histories = torch.from_numpy(spec.held_out.inputs["history"])
    for count in (1, 3, 8):
        torch.testing.assert_close(exported(histories[:count]), spec.programs["main"].module(histories[:count]))


@torch.no_grad()
def test_rounding_is_a_share_of_each_rows_own_scale(spec, captured):
    assert spec.programs["main"].quantization == "dynamic"
    histories = torch.from_numpy(spec.held_out.inputs["history"][:8])
    scale = measure_scale(histories)[1]
    sizes = torch.tensor([1e-3, 1e4] * 4)[:, None] / scale
    rounded = quantize_dynamically(captured).module()(histories * sizes) / sizes[..., None]
    deviations = (rounded - spec.programs["main"].module(histories)).abs() / scale[..., None]
    assert 0 < float(deviations.max()) < 0.1


def test_two_runs_are_compared_by_their_forecasts_of_the_same_windows(finished_run, tmp_path):
    lines = compare_runs(finished_run, finished_run).splitlines()
    assert lines[0].startswith("40 test windows")
    assert all("+0.0000" in line and "no difference shown" in line for line in lines[1:])
    with np.load(finished_run / "predictions.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"pinball": arrays["pinball"] + 0.1}))
    assert "(95 % interval +0.1000 … +0.1000), p = 0: they differ" in compare_runs(finished_run, tmp_path)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"future": arrays["future"][1:]}))
    with pytest.raises(ValueError, match="were evaluated on different test windows"):
        compare_runs(finished_run, tmp_path)


def test_networks_stand_beside_the_baselines_in_one_table(tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("training.forecaster.evaluate.draw_all", lambda *given: None)
    recipes = {name: replace(tiny_recipe, network=name, steps=1, validate_every=1) for name in ("cnn", "gru")}
    common = TrainOptions(model="forecaster", preset="", data="generated", data_root=tmp_path, out=tmp_path)
    runs = train_all(recipes, common, train)
    lines = format_table(compare_networks(runs, "generated", tmp_path), runs).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["cnn", "gru", "seasonal-naive", "linear"]
    assert "…" not in lines[2]
    assert all("…" in line for line in lines[3:])
    assert " | 0.0 % | – | – |" in lines[4]


def test_the_command_line_trains_on_a_table_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr("training.forecaster.evaluate.draw_all", lambda *given: None)
    values = [f"{np.sin(step):.4f},{step % 4}" for step in range(120)]
    (tmp_path / "own.csv").write_text("\n".join(["a,b", *values]))
    changes = ["context=24", "horizon=6", "periods=4", "period=4", "steps=1", "num_calibration=4"]
    arguments = ["forecaster", "--data", "folder:own.csv", "--data-root", str(tmp_path), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*arguments, *(part for change in changes for part in ("--set", change))])
    assert result.exit_code == 0, result.output
    assert "saved_percent" in result.output
    (tmp_path / "own.csv").write_text("a,b\n1,2\n3\n")
    again = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert again.exit_code == 2
    assert "own.csv line 3 has 1 cells, the header names 2 columns" in again.output


def test_the_gate_asks_for_more_than_the_last_season(spec):
    assert spec.held_out.aggregate(spec.held_out.baseline.scores) == 0


def test_a_student_learns_from_quantiles_in_units_of_each_historys_scale(finished_run, tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, network="cnn", teacher=str(finished_run), teacher_weight=0.25)
    torch.manual_seed(0)
    task = make_task(recipe, load_data("generated", tmp_path, recipe), torch.device("cpu"), seed=0)
    windows = task.data.source.sample(recipe.batch_size, generator_for(0, 0))
    history, future = windows[:, : recipe.context], windows[:, recipe.context :]
    _, scale = measure_scale(history)
    with torch.no_grad():
        own, expected = (network(history) for network in (task.network.train(), load_network(finished_run)[0]))
    levels = torch.tensor(recipe.levels)
    loss = 0.75 * pinball_loss(own, future, scale, levels) + 0.25 * ((own - expected) / scale[..., None]).abs().mean()
    torch.testing.assert_close(task.train_step(0)["loss"], loss)


def test_a_student_is_released_beside_its_teacher_which_forecasts_the_same_steps(finished_run, tiny_recipe, tmp_path):
    run = train(replace(tiny_recipe, teacher=str(finished_run)), make_options(tmp_path / "run"))
    assert describe_release(run, "cpu").parent == finished_run
    with pytest.raises(ValueError, match=r"has horizon=6, this recipe 5; set horizon=6"):
        train(replace(tiny_recipe, horizon=5, teacher=str(finished_run)), make_options(tmp_path / "other"))
