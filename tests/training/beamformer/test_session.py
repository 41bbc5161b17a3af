"""Whole sessions with few steps and few channels: train, resume, evaluate, describe, export, serve."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from handlers.archive import open_handler
from handlers.target import describe_host
from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.beamformer.data import make_channel_model, open_source
from training.beamformer.network import load_network
from training.beamformer.objective import BeamformerTask
from training.beamformer.recipe import DEMO
from training.beamformer.servable import describe_release
from training.beamformer.session import make_task, train
from training.cli import app
from training.engine.interruption import Interrupted
from training.release.capture import capture
from training.release.content import lay_out
from training.release.reference import open_reference
from training.release.spec import ReleaseSpec

CPU = torch.device("cpu")
TINY = replace(
    DEMO,
    gates=("separable",),
    num_phase_sweeps=1,
    steps=3,
    batch_size=2,
    validate_every=3,
    num_validation=2,
    num_test=2,
    num_released_test=4,
    num_examples=2,
    max_rows=8,
)


make_options = partial(runs.make_options, model="beamformer", data="generated")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    return train(TINY, make_options(tmp_path_factory.mktemp("run")))


def test_a_run_leaves_figures_pictures_and_one_page(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    assert metrics["n"] == 2
    assert metrics["digital, exact CSI"] > 99
    assert metrics["digital, CSI -10 dB"] > 90
    assert 80 < metrics["hybrid, 4 chains, exact CSI"] < 100
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    found = {(figure["setting"], figure["method"], figure["csi_snr_db"]) for figure in evaluation["figures"]}
    assert ("digital", "multilinear Wiener", -15.0) in found
    assert ("hybrid, 2 chains", "MO-AltMin", None) in found
    assert ("8 clusters", "network, level unknown", -10.0) in found
    page = (finished_run / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page
    assert "spread 15°" in page


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(finished_run, tmp_path, monkeypatch):
    with interrupted_after(BeamformerTask, 0), pytest.raises(Interrupted):
        train(TINY, make_options(tmp_path / "run"))
    monkeypatch.setattr("training.beamformer.session.evaluate_run", lambda run: {})
    train(TINY, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


@pytest.mark.parametrize("loss", ["rate", "mse"])
def test_a_step_reaches_every_parameter_that_it_should(loss):
    recipe = replace(TINY, gates=("separable", "joint"), loss=loss, lr=1e-2, warmup_fraction=0.0)
    task = make_task(recipe, open_source("generated", Path(), make_channel_model(recipe)), CPU, 0)
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    metrics = task.train_step(0)
    assert all(torch.isfinite(value) for value in metrics.values())
    still = [name for name, value in task.network.named_parameters() if torch.equal(before[name], value)]
    # The first step trains the head of two chains.
    assert [name for name in still if not name.startswith(("heads.3", "heads.4"))] == []


@pytest.mark.slow
def test_the_released_handler_answers_as_the_network_does(finished_run, tmp_path):
    spec = describe_release(finished_run, "cpu")
    (tmp_path / "work").mkdir()
    reference = open_reference(spec, CPU, tmp_path / "work").infer(spec.held_out.inputs, {}).arrays
    assert spec.held_out.baseline.scores.mean() < 90 < spec.held_out.score(reference).mean()
    handler = open_exported(spec, tmp_path)
    exported = handler.infer(spec.held_out.inputs, {})
    assert exported.row_errors == [None] * 4
    np.testing.assert_allclose(spec.held_out.score(exported.arrays), spec.held_out.score(reference), rtol=0, atol=0.02)
    single = {name: rows[:1] for name, rows in spec.held_out.inputs.items()}
    assert handler.infer(single, {}).arrays["precoder"].shape == (1, 5, 144, 2, 2)
    hybrid = handler.infer({"channel": single["channel"]}, {"rf_chains": 4}, handler.output_names).arrays
    analog, baseband, precoder = (
        np.ascontiguousarray(hybrid[name]).view(np.complex64)[..., 0]
        for name in ("analog_precoder", "baseband_precoder", "precoder")
    )
    np.testing.assert_allclose(analog[:, None] @ baseband, precoder, atol=1e-4)
    np.testing.assert_allclose(np.abs(analog), 1 / 12, rtol=1e-3)


def test_bad_rows_of_a_released_handler_fail_alone(finished_run, tmp_path):
    spec = describe_release(finished_run, "cpu")
    handler = open_reference(spec, CPU, tmp_path)
    channel = np.array(spec.held_out.inputs["channel"])
    channel[0] = 0
    channel[1, 0, 0, 0, 0] = np.nan
    channel[2] *= np.float32(1e20)
    found = handler.infer({"channel": channel, "csi_snr_db": spec.held_out.inputs["csi_snr_db"]}, {})
    assert [error is None for error in found.row_errors] == [False, False, True, True]
    whole = handler.infer(spec.held_out.inputs, {}).arrays
    for name in ("precoder", "combiner"):
        weights, expected = (
            np.ascontiguousarray(arrays[name][2:]).view(np.complex64)[..., 0] for arrays in (found.arrays, whole)
        )
        np.testing.assert_allclose(
            weights @ weights.conj().swapaxes(-1, -2), expected @ expected.conj().swapaxes(-1, -2), atol=5e-3
        )


def open_exported(spec: ReleaseSpec, folder: Path):
    programs = {}
    for role in spec.programs:
        programs[role] = folder / f"{role}.pt2"
        torch.export.save(capture(spec.programs[role], CPU), programs[role])
    content = folder / "content"
    content.mkdir()
    target = describe_host(CPU) | {"capability": ""}
    lay_out(content, spec, release=1, variant="eager", programs=programs, target=target)
    return open_handler(content, "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"known_fraction": 2.0}, r"known_fraction must lie in \[0, 1\], got 2"),
        ({"csi_snr_db": (3.0, -3.0)}, "csi_snr_db takes the lowest and the highest level"),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **changes)


def test_the_command_line_inspects_matlab_files(tmp_path):
    import scipy.io

    scipy.io.savemat(tmp_path / "a.mat", {"H": np.ones((36, 144, 5))})
    arguments = ["beamformer", "--inspect", str(tmp_path / "a.mat"), "--out", str(tmp_path / "pictures")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "36×144×5" in result.output
    assert (tmp_path / "pictures" / "a-H.png").is_file()
    refused = CliRunner().invoke(app, ["classifier", "--inspect", "a.mat"])
    assert refused.exit_code == 2
    assert "classifier has no inspection of data files" in refused.output
