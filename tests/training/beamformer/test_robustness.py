"""Conditions that no training has seen: ageing, and the verb that measures them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from training.beamformer.ageing import age_channels, find_correlation
from training.beamformer.channel import ChannelModel, combine_rays, sample_rays
from training.beamformer.comparison import fit_only
from training.beamformer.conditions import list_factors
from training.beamformer.network import load_network
from training.beamformer.recipe import PRESETS
from training.beamformer.robustness import measure_condition
from training.cli import app
from training.engine.options import TrainOptions
from training.engine.runs import train_all

MODEL = ChannelModel()
CHANGES = {"steps": 2, "batch_size": 2, "validate_every": 2, "num_validation": 2, "num_test": 4}
FACTORS = {factor.name: factor for factor in list_factors(MODEL)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run whose network takes any arrays, and one whose last gate is as large as its own."""
    options = TrainOptions(
        model="beamformer", preset="", data="generated", data_root=Path(), out=tmp_path_factory.mktemp("runs")
    )
    found = train_all({name: replace(PRESETS[name], **CHANGES) for name in ("no-gate", "one-stage")}, options, fit_only)
    for run in found.values():
        (run / "evaluation.json").write_text('{"dataset": "four channels"}')
    return found


def find_percent(figures, method, data_snr_db=0.0):
    return next(figure.percent for figure in figures if (figure.method, figure.data_snr_db) == (method, data_snr_db))


def test_a_channel_forgets_its_gains_with_speed_and_keeps_power_and_angles():
    assert find_correlation(0) == 1
    assert find_correlation(30) == pytest.approx(0.909, abs=0.002)
    rays = sample_rays(MODEL, 40, torch.Generator().manual_seed(0))
    before, after = combine_rays(MODEL, rays), age_channels(MODEL, rays, 0.6, torch.Generator().manual_seed(1))
    alike = (before.conj() * after).sum().real / (before.abs().square().sum() * after.abs().square().sum()).sqrt()
    assert float(alike) == pytest.approx(0.6, abs=0.1)
    assert float(after.abs().square().mean()) == pytest.approx(float(before.abs().square().mean()), rel=0.1)
    torch.testing.assert_close(age_channels(MODEL, rays, 1.0, torch.Generator()), before)


def test_a_condition_changes_what_its_factor_names_and_nothing_else():
    plain = FACTORS["speed (km/h)"].make(0)
    assert FACTORS["clusters"].make(8) == replace(plain, model=replace(MODEL, num_clusters=8))
    assert FACTORS["side of the transmit array"].make(16).model.num_transmit == 256
    assert FACTORS["error of the told CSI SNR (dB)"].make(-5) == replace(plain, error_db=-5)


def test_a_fast_receiver_loses_and_a_wrong_level_harms_the_filter_that_believes_it(runs):
    network, _ = load_network(runs["no-gate"])
    plain = measure_condition(network, FACTORS["speed (km/h)"].make(0), 4)
    fast = measure_condition(network, FACTORS["speed (km/h)"].make(60), 4)
    misled = measure_condition(network, FACTORS["error of the told CSI SNR (dB)"].make(-10), 4)
    assert find_percent(fast, "network") < find_percent(plain, "network") - 3
    assert find_percent(misled, "multilinear Wiener") < 50 < 90 < find_percent(plain, "multilinear Wiener")
    assert find_percent(misled, "SVD") == pytest.approx(find_percent(plain, "SVD"))


def test_the_verb_adds_to_the_evaluation_and_says_where_a_network_cannot_go(runs, monkeypatch):
    few = [replace(FACTORS["spread (°)"], values=(10, 40)), replace(FACTORS["side of the receive array"], values=(4,))]
    monkeypatch.setattr("training.beamformer.robustness.list_factors", lambda model: few)
    said = {
        name: CliRunner().invoke(app, ["beamformer", "robustness", str(run), "--rows", "3"])
        for name, run in runs.items()
    }
    assert [result.exit_code for result in said.values()] == [0, 0], [result.output for result in said.values()]
    assert "works with its own arrays alone |" in said["one-stage"].output
    assert "works with its own arrays alone |" not in said["no-gate"].output
    evaluation = json.loads((runs["no-gate"] / "evaluation.json").read_text())
    assert evaluation["dataset"] == "four channels"
    shown = [(record["factor"], record["value"], bool(record["figures"])) for record in evaluation["robustness"]]
    assert shown == [("spread (°)", 10, True), ("spread (°)", 40, True), ("side of the receive array", 4, True)]
    assert (runs["no-gate"] / "robustness.png").stat().st_size > 10_000
