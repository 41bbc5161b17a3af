"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training import runs
from tests.training.image_translator.conftest import make_options
from tests.training.interrupting import interrupted_after
from training.engine.interruption import Interrupted
from training.image_translator.comparison import format_table, train_all
from training.image_translator.cycle import CycleTask
from training.image_translator.difference import compare_runs
from training.image_translator.network import load_network
from training.image_translator.objective import PairedTask
from training.image_translator.servable import describe_release
from training.image_translator.session import train
from training.release.capture import capture

METRICS = ("frechet", "label_fidelity", "l1", "psnr_db", "ssim")


@pytest.fixture
def unevaluated(monkeypatch):
    monkeypatch.setattr("training.image_translator.session.evaluate_run", lambda *given: {})


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_beside_those_of_the_baselines_and_a_picture(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"]) == ("few from edges test", 40)
    network, copied, levels = evaluation["methods"].values()
    for metric in METRICS:
        assert network[metric]["interval"][0] <= network[metric]["interval"][1]
        difference = network[metric]["value"] - copied[metric]["value"]
        assert copied[metric]["difference"] == pytest.approx(difference)
        assert metrics[metric] == pytest.approx(network[metric]["value"], abs=1e-4)
    assert levels["l1"]["value"] < copied["l1"]["value"]  # the mean colour is nearer than white lines on black
    assert 0 < evaluation["frechet_floor"] < copied["frechet"]["value"]
    assert (finished_run / "translations.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("method", "task"), [("paired", PairedTask), ("cycle", CycleTask)])
@pytest.mark.usefixtures("unevaluated")
def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(
    method, task, finished_run, tiny_recipe, few_images, tmp_path
):
    change = "edges" if method == "paired" else "grey"
    judge = str(finished_run / "judge")
    recipe = replace(tiny_recipe, method=method, change=change, judge=judge, buffer_size=8)
    whole = train(recipe, make_options(tmp_path / "whole", data=few_images))
    with interrupted_after(task, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(recipe, make_options(tmp_path / "parts", data=few_images))
    parts = train(recipe, make_options(tmp_path / "parts", data=few_images, resume=True))
    runs.assert_same_weights(load_network(whole)[0], load_network(parts)[0])


def test_the_two_players_teach_each_other_and_l1_alone_has_one(finished_run, tiny_recipe, few_images, tmp_path):
    recipe = replace(tiny_recipe, adversarial_weight=0.0, judge=str(finished_run / "judge"))
    train(recipe, make_options(tmp_path / "run", data=few_images))
    logged = [(tmp_path / "run", False), (finished_run, True)]
    for run, has_opponent in logged:
        curves = (run / "curves.jsonl").read_text()
        assert ("train/discriminator_loss" in curves) is has_opponent
        assert ("train/adversarial_loss" in curves) is has_opponent
    lines = compare_runs(finished_run, tmp_path / "run").splitlines()
    assert lines[0] == "40 test images; second − first"
    assert [line.split()[0] for line in lines[1:]] == list(METRICS)
    same = compare_runs(finished_run, finished_run).splitlines()
    assert all("+0.0000" in line and "no difference shown" in line for line in same[1:])


def test_runs_before_different_judges_are_not_compared(finished_run, tmp_path):
    with np.load(finished_run / "measured.npz") as stored:
        arrays = dict(stored)
    arrays["frechet"][:, 1] += 1
    np.savez(tmp_path / "measured.npz", **arrays)
    with pytest.raises(ValueError, match="were judged by different classifiers or on different data"):
        compare_runs(finished_run, tmp_path)


def test_without_pairs_the_way_back_is_measured_and_a_release_is_judged_by_agreement(tiny_recipe, tmp_path):
    for part, count in (("trainA", 9), ("trainB", 6), ("testA", 5), ("testB", 4)):
        (tmp_path / "own" / part).mkdir(parents=True)
        for row in range(count):
            level = 20 * row
            Image.new("RGB", (8, 8), (level, 0, 255 - level)).save(tmp_path / "own" / part / f"{row}.png")
    recipe = replace(tiny_recipe, method="cycle", norm="instance", num_calibration=4)
    run = train(recipe, make_options(tmp_path / "run", data="folder:own", data_root=tmp_path))
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert 0 < evaluation["cycle_l1"] < 1
    assert evaluation["methods"] == {"network": {}, "source copied": {}}
    assert "validation/cycle_l1" in (run / "curves.jsonl").read_text()
    spec = describe_release(run, "cpu")
    assert spec.held_out.score is None
    assert spec.description.startswith("CycleGAN for own, RGB to RGB")


def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    drawn = spec.programs["main"].module(torch.from_numpy(spec.held_out.inputs["image"]))
    assert (drawn.shape, drawn.dtype) == ((40, 16, 16, 3), torch.uint8)
    scores = spec.held_out.score({"image": drawn.numpy()})
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    assert -spec.held_out.aggregate(scores) == pytest.approx(metrics["frechet"], rel=1e-3)
    assert spec.margin == pytest.approx(0.05 * metrics["frechet"], rel=1e-3)
    assert spec.held_out.baseline.name == "the source copied"
    assert [tensor.shape for tensor in (*spec.inputs, *spec.outputs)] == [
        (-1, 16, 16, 1),
        (-1,),
        (-1, 16, 16, 3),
        (-1,),
    ]
    assert spec.description == "Pix2Pix for few from edges, grey to RGB, images of 16×16"


def test_calibration_images_are_training_sources(spec):
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["main"].calibration()])
    assert rows.shape == (12, 16, 16, 1)
    held_out = {row.tobytes() for row in spec.held_out.inputs["image"]}
    assert not held_out & {row.tobytes() for row in rows}


def test_the_program_exports_with_any_number_of_rows(spec):
    exported = capture(spec.programs["main"], torch.device("cpu")).module()
    images = torch.from_numpy(spec.held_out.inputs["image"])
    for count in (1, 3, 8):
        found, wanted = exported(images[:count]), spec.programs["main"].module(images[:count])
        torch.testing.assert_close(found, wanted, atol=1, rtol=0)


def test_both_ways_stand_in_one_table_over_seeds_before_one_judge(
    finished_run, tiny_recipe, few_images, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.image_translator.evaluate.draw_translations", lambda *given: None)
    recipe = replace(tiny_recipe, steps=1, judge=str(finished_run / "judge"))
    runs = train_all(recipe, make_options(tmp_path, data=few_images), 2)
    lines = format_table(runs).splitlines()[2:]
    names = [line.strip("| ").split(" | ")[0] for line in lines]
    assert names[:4] == ["pix2pix-4", "l1-4", "pix2pix-5", "l1-5"]
    assert names[4:] == ["source copied", "mean colour of each level", "pix2pix − l1 over seeds"]
    first, over_seeds = (lines[place].strip("| ").split(" | ") for place in (0, 6))
    assert all("…" in cell for cell in [*first[1:6], *over_seeds[1:6]])
