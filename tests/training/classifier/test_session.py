"""Whole sessions on generated glyphs: train, interrupt, resume, evaluate, describe for release."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.classifier.objective import ClassifierTask
from training.classifier.recipe import DEMO
from training.classifier.servable import describe_release
from training.classifier.session import train
from training.cli import app
from training.engine.interruption import Interrupted
from training.images.glyphs import draw_glyphs
from training.release.evidence import gather_evidence

TINY = replace(
    DEMO,
    widths=(8, 16, 16),
    resolution=20,
    epochs=2,
    batch_size=100,
    validation_fraction=1900 / 2400,
    average_decay=0.9,
    cutout_px=4,
    dropout=0.1,
)


make_options = partial(runs.make_options, model="classifier", data="glyphs")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    return train(replace(TINY, epochs=6, lr=0.2), make_options(tmp_path_factory.mktemp("run")))


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def assert_same(first, second):
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for a, b in zip(first, second, strict=True):
            assert_same(a, b)
    else:
        assert first == second


@pytest.fixture(scope="module")
def few_images(tmp_path_factory):
    """So few that nothing takes long but the steps: 144 for training, 36 for validation, 20 for testing."""
    images, labels = draw_glyphs(200, seed=0)
    path = tmp_path_factory.mktemp("few") / "glyphs.npz"
    np.savez(path, images=images[20:], labels=labels[20:], test_images=images[:20], test_labels=labels[:20])
    return f"arrays:{path}"


@pytest.mark.parametrize(
    "recipe",
    [
        replace(TINY, epochs=1.25, precision="bf16", clip_norm=1.0),
        # With dropout, and layers that are frozen before the interruption and free after it.
        replace(TINY, network="mobilenet_v3_small", frozen_epochs=1, epochs=1.25, lr=0.01, resolution=0, cutout_px=0),
    ],
    ids=["compact", "mobilenet"],
)
def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(recipe, few_images, tmp_path, monkeypatch):
    data, recipe = few_images, replace(recipe, validation_fraction=0.2)
    monkeypatch.setattr("training.classifier.session.evaluate_run", lambda *given, **named: {})
    train(recipe, make_options(tmp_path / "whole", data=data))
    with interrupted_after(ClassifierTask, 3), pytest.raises(Interrupted, match="stopped after step 4"):
        train(recipe, make_options(tmp_path / "broken", data=data))
    assert not (tmp_path / "broken" / "network.pt").exists()
    train(recipe, make_options(tmp_path / "broken", data=data, resume=True))

    whole, broken = (load(tmp_path / name / "checkpoint.pt") for name in ("whole", "broken"))
    assert_same(broken["task"], whole["task"])
    assert (broken["task"]["average"]["num_updates"], broken["progress"]["step"]) == (whole["progress"]["step"],) * 2
    assert_same(load(tmp_path / "broken" / "network.pt"), load(tmp_path / "whole" / "network.pt"))


def test_run_learns_and_leaves_everything(finished_run):
    record = json.loads((finished_run / "run.json").read_text())
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert record["metrics"]["accuracy"] == evaluation["accuracy"] > 0.6
    assert evaluation["dataset"] == "glyphs test"
    assert evaluation["n"] == 1200
    assert evaluation["ece"] < evaluation["ece_uncalibrated"]
    assert record["finished"] is not None
    for name in ("checkpoint.pt", "network.pt", "predictions.npz", "confusion_matrix.png", "reliability.png"):
        assert (finished_run / name).stat().st_size > 0


def test_curves_figures_and_pictures_go_along_with_a_release(finished_run):
    files = gather_evidence(finished_run)
    assert list(files) == ["training.json", "evaluation.json", "confusion_matrix.png", "reliability.png"]
    curves = json.loads(files["training.json"])["curves"]
    assert {"train/loss", "validation/accuracy"} <= set(curves)
    assert curves["validation/accuracy"]["values"][-1] > 0.8


def test_release_description_matches_the_run(finished_run):
    spec = describe_release(finished_run, "cpu")
    program = spec.programs["main"]
    images = spec.held_out.inputs["image"]
    assert images.shape == (1200, 20, 20, 1)
    with torch.no_grad():
        probabilities = program.module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    accuracy = json.loads((finished_run / "run.json").read_text())["metrics"]["accuracy"]
    assert spec.held_out.score({"probabilities": probabilities}).mean() == accuracy
    majority = spec.held_out.baseline.scores
    assert any(
        np.array_equal(majority, spec.held_out.score({"probabilities": np.eye(10)[[label] * 1200]}))
        for label in range(10)
    )
    assert spec.held_out.binary
    assert spec.margin == 0.015
    assert spec.handler_options["labels"] == list("0123456789")
    assert {tensor.name: tensor.shape for tensor in spec.inputs} == {"image": (-1, 20, 20, 1), "encoded": (-1,)}
    assert spec.examples["image"].shape == (16, 20, 20, 1)


def test_calibration_rows_are_training_rows(finished_run):
    spec = describe_release(finished_run, "cpu")
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["main"].calibration()])
    assert len(rows) == 256
    held_out = {row.tobytes() for row in spec.held_out.inputs["image"]}
    assert not held_out & {row.tobytes() for row in rows}


def test_program_exports_with_any_number_of_rows(finished_run):
    program = describe_release(finished_run, "cpu").programs["main"]
    exported = torch.export.export(program.module, program.example_inputs, dynamic_shapes=program.dynamic_shapes)
    images = torch.randint(0, 256, (17, 20, 20, 1), dtype=torch.uint8)
    for count in (1, 2, 17):
        torch.testing.assert_close(exported.module()(images[:count]), program.module(images[:count]))


def test_unfinished_run_cannot_be_released(tmp_path, finished_run):
    (tmp_path / "run.json").write_text((finished_run / "run.json").read_text())
    with pytest.raises(FileNotFoundError, match="the run did not finish; continue it with --resume"):
        describe_release(tmp_path, "cpu")


def test_a_run_recorded_with_a_count_of_validation_images_is_released_and_not_continued(tmp_path, finished_run):
    record = json.loads((finished_run / "run.json").read_text())
    del record["recipe"]["validation_fraction"]
    record["recipe"]["num_validation"] = 1900
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "network.pt").write_bytes((finished_run / "network.pt").read_bytes())
    images = describe_release(tmp_path, "cpu").held_out.inputs["image"]
    np.testing.assert_array_equal(images, describe_release(finished_run, "cpu").held_out.inputs["image"])
    refused = CliRunner().invoke(app, ["classifier", "--resume", "--out", str(tmp_path)])
    assert refused.exit_code == 2
    assert "recorded by another version: Recipe has no field num_validation; start anew" in refused.output


def test_release_refuses_data_that_has_changed(tmp_path, finished_run):
    record = json.loads((finished_run / "run.json").read_text())
    record["recipe"]["resolution"] = 24
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "network.pt").write_bytes((finished_run / "network.pt").read_bytes())
    with pytest.raises(ValueError, match="was trained on other data than glyphs"):
        describe_release(tmp_path, "cpu")
