"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training import runs
from tests.training.autoencoder.conftest import make_options
from tests.training.interrupting import interrupted_after
from training.autoencoder.comparison import format_table, list_recipes, score_recipes
from training.autoencoder.data import load_data
from training.autoencoder.difference import compare_runs
from training.autoencoder.network import load_network
from training.autoencoder.objective import AutoencoderTask
from training.autoencoder.program import answer_images
from training.autoencoder.servable import describe_release
from training.autoencoder.session import train
from training.engine.interruption import Interrupted
from training.engine.runs import read_run, train_all
from training.release.capture import capture

NUM_STEPS = 4


@pytest.fixture(autouse=True)
def _few_repeats(monkeypatch):
    monkeypatch.setattr("training.release.statistics._AGGREGATE_REPEATS", 50)


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_beside_those_of_principal_components_and_pictures(finished_run):
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    network, components, given = (evaluation["methods"][name] for name in ("network", "pca", "as given"))
    for metric in ("explained", "rms_levels", "probe_accuracy"):
        own, other = network[metric], components[metric]
        assert own["interval"][0] <= own["value"] <= own["interval"][1]
        assert other["difference"] == pytest.approx(own["value"] - other["value"])
        assert other["difference_interval"][0] <= other["difference"] <= other["difference_interval"][1]
    # A fifth of white, of which what would lie beyond black and white is cut off.
    assert 25 < given["rms_levels"]["value"] < 51
    assert components["explained"]["value"] > 0
    assert list(evaluation["unusual"]) == ["class 7", "collage"]
    assert evaluation["unusual"]["class 7"]["n"] + evaluation["n"] == 1200
    metrics = read_run(finished_run)["metrics"]
    assert metrics["explained"] == pytest.approx(network["explained"]["value"], abs=1e-4)
    assert metrics["threshold"] == pytest.approx(evaluation["threshold"], abs=0.01)
    for name in ("reconstructions.png", "deviations.png", "traversals.png", "map.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_a_share_of_the_validation_images_as_great_as_asked_for_is_usual(finished_run):
    network, recipe, stored = load_network(finished_run)
    data = load_data("glyphs", finished_run, recipe)
    deviations = answer_images(network, data.seen_validation).deviation
    assert 0.985 < (deviations <= stored["threshold"]).mean() < 0.995


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr("training.autoencoder.session.evaluate_run", lambda run, data: {})
    _, recipe, _ = load_network(finished_run)
    recipe = replace(recipe, batch_size=50)
    with interrupted_after(AutoencoderTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of"):
        train(recipe, make_options(tmp_path / "run"))
    train(recipe, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    images = torch.from_numpy(spec.held_out.inputs["image"])
    reconstruction, code, deviation = spec.programs["main"].module(images)
    assert (reconstruction.shape, reconstruction.dtype, code.shape) == (images.shape, torch.uint8, (len(images), 6))
    scores = spec.held_out.score({"reconstruction": reconstruction.numpy()})
    metrics = read_run(finished_run)["metrics"]
    assert spec.held_out.aggregate(scores) == pytest.approx(metrics["explained"], abs=1e-4)
    assert spec.held_out.aggregate(spec.held_out.baseline.scores) == pytest.approx(0, abs=1e-3)
    # What comes back is rounded to levels, what deviates is not.
    apart = (reconstruction.double() - images.double()).square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(apart.float(), deviation, atol=0.5, rtol=0)
    assert spec.handler_options["threshold"] == pytest.approx(metrics["threshold"], abs=0.01)
    assert [output.name for output in spec.outputs] == ["reconstruction", "code", "deviation", "unusual"]
    assert spec.description.startswith("denoising autoencoder for glyphs: grey images of 16×16 and back")


def test_calibration_images_are_training_images(spec):
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["main"].calibration()])
    assert rows.shape == (12, 16, 16, 1)
    held_out = {row.tobytes() for row in spec.held_out.inputs["image"]}
    assert not held_out & {row.tobytes() for row in rows}


def test_recipes_stand_in_one_table_and_a_sparse_one_exports(tiny_recipe, finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr("training.autoencoder.evaluate.draw_all", lambda *given: None)
    recipes = list_recipes(replace(tiny_recipe, epochs=0.5))
    chosen = {name: recipes[name] for name in ("plain", "sparse", "beta-vae")}
    runs = train_all(chosen, make_options(tmp_path), train)
    clean, spoilt = (load_data("glyphs", tmp_path, recipes[name]) for name in ("plain", "denoising"))
    table = format_table(runs, score_recipes(runs, clean, spoilt))
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == ["plain", "sparse", "beta-vae", "pca", "as given"]
    assert not any("…" in cell for cell in rows[0])
    assert rows[4][1].startswith("1.0000")
    assert float(rows[4][2].split()[0]) < 0.9
    assert read_run(runs["sparse"])["metrics"]["active"] < 0.6
    sparsity = {row[0]: float(row[5]) for row in rows[:4]}
    assert sparsity["sparse"] > sparsity["plain"]
    assert 0 <= read_run(runs["beta-vae"])["metrics"]["used"] <= 6
    spec = describe_release(runs["sparse"], "cpu")
    captured, program = capture(spec.programs["main"], torch.device("cpu")), spec.programs["main"].module
    assert "squeeze.dim" not in captured.graph_module.code  # of an axis of several values, which ONNX refuses
    exported = captured.module()
    for count in (1, 8):
        images = torch.from_numpy(spec.held_out.inputs["image"][:count])
        for found, wanted in zip(exported(images), program(images), strict=True):
            torch.testing.assert_close(found, wanted)
    with pytest.raises(ValueError, match="were evaluated on different test images"):
        compare_runs(finished_run, runs["plain"])
    lines = compare_runs(runs["plain"], runs["plain"]).splitlines()
    assert lines[0] == "1200 test images; second − first"
    assert [line.split()[0] for line in lines[1:]] == ["explained", "rms_levels", "probe_accuracy"]
    assert all("+0.0000" in line and "no difference shown" in line for line in lines[1:])
