"""The table of networks: all trained alike, tested on the same channels, paired with the first."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training.beamformer.comparison import CSI_SNR_DB, compare_networks, fit_only, format_table
from training.beamformer.data import load_held_out, make_channel_model
from training.beamformer.evaluate import evaluate_run
from training.beamformer.recipe import PRESETS
from training.beamformer.servable import describe_release
from training.engine.options import TrainOptions
from training.engine.runs import train_all

CHANGES = {"steps": 2, "batch_size": 2, "validate_every": 2, "num_validation": 2, "num_test": 4}
RECIPES = {name: replace(PRESETS[name], **CHANGES) for name in ("no-gate", "squared-error", "residual-encoder")}


def _options(out):
    return TrainOptions(model="beamformer", preset="", data="generated", data_root=Path(), out=out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison")
    return train_all(RECIPES, _options(out), fit_only)


@pytest.fixture(scope="module")
def held_out():
    return load_held_out("generated", Path(), make_channel_model(RECIPES["no-gate"]), 4)


@pytest.fixture(scope="module")
def measured(runs, held_out):
    return compare_networks(runs, held_out)


def test_a_network_that_knows_the_noise_beats_one_that_sees_magnitudes(measured):
    figures = {figure.method: figure for figure in measured if (figure.csi_snr_db, figure.data_snr_db) == (-10.0, 0.0)}
    assert figures["no-gate"].percent > 95
    assert figures["no-gate"].network_minus_method is None
    assert figures["residual-encoder"].percent < 60
    difference, low, _ = figures["residual-encoder"].network_minus_method
    assert difference == pytest.approx(figures["no-gate"].percent - figures["residual-encoder"].percent)
    assert low > 0
    assert figures["SVD"].percent < figures["multilinear Wiener filter"].percent


def test_the_table_names_every_network_and_level(runs, measured):
    table = format_table(measured, runs)
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:]]
    assert rows == [*RECIPES, "multilinear Wiener filter", "SVD"]
    assert all(f"CSI {level:g} dB" in table for level in CSI_SNR_DB)


def test_finished_runs_are_not_trained_again(runs, monkeypatch):
    monkeypatch.setattr("training.beamformer.comparison.fit_beamformer", None)
    out = next(iter(runs.values())).parent
    again = train_all(RECIPES, _options(out), fit_only)
    assert again == runs


def test_a_thesis_network_has_a_page_without_hybrid_rows_and_is_not_released(runs, monkeypatch):
    run = runs["residual-encoder"]
    monkeypatch.setattr("training.beamformer.evaluate.CSI_SNR_DB", (-10.0,))  # one of the levels shows as much
    metrics = evaluate_run(run)
    assert not [name for name in metrics if name.startswith("hybrid")]
    settings = {figure["setting"] for figure in json.loads((run / "evaluation.json").read_text())["figures"]}
    assert settings == {"digital", "spread 5°", "spread 15°", "3 clusters", "8 clusters"}
    with pytest.raises(ValueError, match="residual-encoder, which is for comparison only"):
        describe_release(run, "cpu")
