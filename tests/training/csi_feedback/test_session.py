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
from training.csi_feedback.difference import compare_runs
from training.csi_feedback.network import load_network
from training.csi_feedback.objective import FeedbackTask
from training.csi_feedback.program import restore_channels
from training.csi_feedback.scores import measure_errors
from training.csi_feedback.servable import describe_release
from training.csi_feedback.session import train
from training.engine.interruption import Interrupted
from training.release.capture import capture

METHODS = ("network", "principal components", "strongest entries", "common entries")


make_options = partial(runs.make_options, model="csi_feedback", data="indoor")


@pytest.fixture(scope="module")
def finished_run(tiny_recipe, tmp_path_factory):
    return train(replace(tiny_recipe, network="transformer", code_bits=6), make_options(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_and_pictures(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"], evaluation["code_size"]) == ("indoor test", 40, 16)
    figures = {figure["method"]: figure for figure in evaluation["figures"]}
    assert tuple(figures) == METHODS
    own, components = figures["network"], figures["principal components"]
    assert metrics["nmse_db"] == pytest.approx(own["nmse_db"], abs=0.01)
    assert own["interval"][0] < own["nmse_db"] < own["interval"][1] < 0
    assert 0 < own["similarity"] < 1
    assert components["difference"][0] == pytest.approx(own["nmse_db"] - components["nmse_db"])
    assert components["nmse_db"] < figures["common entries"]["nmse_db"]
    for name in ("channels.png", "errors.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(finished_run, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("training.csi_feedback.session.evaluate_run", lambda run, data: {})
    recipe = replace(tiny_recipe, network="transformer", code_bits=6)
    with interrupted_after(FeedbackTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(recipe, make_options(tmp_path / "run"))
    train(recipe, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_the_release_scores_as_the_evaluation_does_and_asks_for_more_than_common_entries(finished_run, spec):
    channels = spec.held_out.inputs["channel"]
    codec, _ = load_network(finished_run)
    restored = restore_channels(codec, torch.from_numpy(channels))
    scores = spec.held_out.score({"reconstruction": restored})
    np.testing.assert_allclose(scores, measure_errors(channels, restored))
    saved = json.loads((finished_run / "evaluation.json").read_text())["figures"]
    assert spec.held_out.aggregate(scores) == pytest.approx(-saved[0]["nmse_db"], abs=0.01)
    assert spec.held_out.aggregate(spec.held_out.baseline.scores) == pytest.approx(-saved[3]["nmse_db"], abs=0.01)
    assert spec.examples["channel"].shape == (3, 8, 8, 2)


def test_a_rounded_codeword_is_described_by_its_bits(spec):
    codeword = next(tensor for tensor in spec.outputs if tensor.name == "codeword")
    assert (codeword.datatype, codeword.shape, codeword.maximum) == ("UINT8", (-1, 16), 63)
    assert spec.input_sets == (("channel",), ("codeword", "scale"))
    assert [tensor.optional for tensor in spec.inputs] == [False, False, True]


def test_both_programs_export_with_any_number_of_rows(spec):
    channels = torch.from_numpy(spec.held_out.inputs["channel"])
    codewords = spec.programs["encoder"].module(channels)
    assert codewords.dtype == torch.uint8
    for role, rows in (("encoder", channels), ("decoder", codewords)):
        exported = capture(spec.programs[role], torch.device("cpu")).module()
        for count in (1, 3, 8):
            torch.testing.assert_close(exported(rows[:count]), spec.programs[role].module(rows[:count]))


def test_calibration_channels_are_training_channels(spec):
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["encoder"].calibration()])
    assert rows.shape == (12, 8, 8, 2)
    held_out = {row.tobytes() for row in spec.held_out.inputs["channel"]}
    assert not held_out & {row.tobytes() for row in rows}


def test_two_runs_are_compared_by_what_comes_back_of_the_same_channels(finished_run, tmp_path):
    assert "+0.0000" in compare_runs(finished_run, finished_run)
    with np.load(finished_run / "predictions.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"errors": 10 * arrays["errors"]}))
    assert "(95 % interval +10.0000 … +10.0000), p = 0: they differ" in compare_runs(finished_run, tmp_path)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"test": arrays["test"][1:]}))
    with pytest.raises(ValueError, match="were evaluated on different test channels"):
        compare_runs(finished_run, tmp_path)


def test_the_comparison_trains_all_networks_at_each_compression(tmp_path, monkeypatch):
    monkeypatch.setattr("training.csi_feedback.evaluate.draw_all", lambda *given: None)
    sizes = ("num_taps=8", "num_antennas=8", "width=8", "num_heads=2", "num_layers=1", "num_fit=100", "num_test=30")
    changes = (*sizes, "steps=1", "validate_every=1")
    arguments = ["csi_feedback", "comparison", "--preset", "demo", "--compression", "4", "--compression", "16"]
    arguments += ["--out", str(tmp_path), *(part for change in changes for part in ("--set", change))]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    names = ["sparse", "transformer", "random start", "csinet", *METHODS[1:]]
    assert [row[:2] for row in rows] == [[f"1/{size}", name] for size in (4, 16) for name in names]
    assert ["…" in row[2] for row in rows] == [name != "sparse" for name in names] * 2
    assert (tmp_path / "nmse_by_compression.png").read_bytes().startswith(b"\x89PNG")
