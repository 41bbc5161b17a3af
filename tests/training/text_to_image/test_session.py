"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training import runs
from tests.training.interrupting import interrupted_after
from tests.training.text_to_image.conftest import make_options
from training.engine.interruption import Interrupted
from training.release.capture import capture
from training.text_to_image.difference import compare_runs
from training.text_to_image.network import load_network
from training.text_to_image.objective import DrawingTask
from training.text_to_image.servable import describe_release
from training.text_to_image.session import train

METRICS = ("r_precision", "class_accuracy", "colour_accuracy", "scene_accuracy", "frechet")


@pytest.fixture
def unevaluated(monkeypatch):
    monkeypatch.setattr("training.text_to_image.session.evaluate_run", lambda *given: {})


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_of_seen_and_unseen_combinations_beside_real_images_and_pictures(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert {name: part["n"] for name, part in evaluation["parts"].items()} == {"seen": 60, "unseen": 60}
    for name, prefix in (("seen", ""), ("unseen", "unseen_")):
        methods = evaluation["parts"][name]["methods"]
        assert list(methods) == ["drawn", "real images", "real images of other captions"]
        for metric in METRICS:
            value = methods["drawn"][metric]["value"]
            assert methods["drawn"][metric]["interval"][0] <= value <= methods["drawn"][metric]["interval"][1]
            assert metrics[f"{prefix}{metric}"] == pytest.approx(value, abs=1e-4)
        assert "frechet" not in methods["real images"]
        assert methods["real images"]["r_precision"]["difference"] == pytest.approx(
            methods["drawn"]["r_precision"]["value"] - methods["real images"]["r_precision"]["value"]
        )
    for name in ("samples.png", "attention.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_the_judge_is_not_the_teacher_and_the_network_reads_as_the_teacher_does(finished_run):
    teacher, judge = (
        torch.load(finished_run / name / "network.pt", weights_only=True) for name in ("teacher", "judge")
    )
    assert all(teacher[name].shape == judge[name].shape for name in teacher)
    assert not torch.equal(teacher["image.head.weight"], judge["image.head.weight"])
    reading = load_network(finished_run)[0].text.state_dict()
    assert all(torch.allclose(reading[name], teacher[f"text.{name}"], atol=1e-6) for name in reading)


@pytest.mark.usefixtures("unevaluated")
def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(finished_run, tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, jury=str(finished_run))
    whole = train(recipe, make_options(tmp_path / "whole"))
    with interrupted_after(DrawingTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(recipe, make_options(tmp_path / "parts"))
    parts = train(recipe, make_options(tmp_path / "parts", resume=True))
    runs.assert_same_weights(load_network(whole)[0], load_network(parts)[0])


def test_runs_before_one_jury_are_compared_and_others_are_not(finished_run, tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, reads="sentence", match_weight=0.0, jury=str(finished_run))
    run = train(recipe, make_options(tmp_path / "sentence"))
    assert not (run / "attention.png").exists()
    assert "train/match_loss" not in (run / "curves.jsonl").read_text()
    lines = compare_runs(finished_run, run).splitlines()
    assert (lines[0], lines[6]) == ("60 seen test captions; second − first", "60 unseen test captions; second − first")
    assert [line.split()[0] for line in lines[1:6]] == list(METRICS)
    same = compare_runs(finished_run, finished_run).splitlines()
    assert all("+0.0000" in line and "no difference shown" in line for line in same[1:6])
    with np.load(run / "measured.npz") as stored:
        arrays = dict(stored)
    arrays["seen_frechet"][:, 1] += 1
    np.savez(run / "measured.npz", **arrays)
    with pytest.raises(ValueError, match="were judged by different networks or on different captions"):
        compare_runs(finished_run, run)


def test_a_jury_that_reads_by_another_vocabulary_is_refused(finished_run, tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, jury=str(finished_run), vocabulary_size=330)
    with pytest.raises(ValueError, match="reads captions by another vocabulary"):
        train(recipe, make_options(tmp_path / "run"))


def test_pictures_of_a_folder_are_matched_but_nothing_on_them_is_named(tiny_recipe, tmp_path):
    (tmp_path / "own").mkdir()
    words = ("dark", "dim", "bright")
    for number in range(40):
        level = 80 * (number % 3)
        Image.new("RGB", (16, 16), (level, level, number)).save(tmp_path / "own" / f"{number:02}.png")
    lines = [f"{number:02}.png,a {words[number % 3]} wall number {number}\n" for number in range(40)]
    (tmp_path / "own" / "captions.txt").write_text("".join(lines))
    recipe = replace(tiny_recipe, vocabulary_size=300)
    run = train(recipe, make_options(tmp_path / "run", data="folder:own", data_root=tmp_path))
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert list(evaluation["parts"]) == ["seen"]
    assert list(evaluation["parts"]["seen"]["methods"]["drawn"]) == ["r_precision", "frechet"]
    assert not (run / "reader").exists()


def test_the_release_scores_by_the_judge_and_says_what_a_request_takes(finished_run, spec):
    scores = spec.held_out.score({"image": np.zeros((40, 16, 16, 3), np.uint8)})
    assert set(scores.tolist()) <= {0.0, 1.0}
    assert len(scores) == len(spec.held_out.inputs["text"]) == 40
    assert (spec.held_out.binary, spec.held_out.metric) == (True, "R-precision among 10 captions")
    assert spec.held_out.baseline.name == "real images of other captions"
    assert [tensor.name for tensor in spec.inputs] == ["text", "seed", "latent"]
    assert [tensor.shape for tensor in spec.outputs] == [(-1, 16, 16, 3), (-1,)]
    assert spec.description == "adversarial generator with attention to words for things of digits, 16×16×3 images"
    assert (finished_run / "vocabulary.model") == spec.extra_files["vocabulary.model"]


def test_the_program_exports_with_any_number_of_rows(spec):
    program = spec.programs["main"]
    exported = capture(program, torch.device("cpu")).module()
    latents, pieces = next(iter(program.calibration()))
    assert pieces.shape == (32, 10)
    for count in (1, 3, 8):
        found, wanted = exported(latents[:count], pieces[:count]), program.module(latents[:count], pieces[:count])
        assert (found.shape, found.dtype) == ((count, 16, 16, 3), torch.uint8)
        torch.testing.assert_close(found, wanted, atol=1, rtol=0)
