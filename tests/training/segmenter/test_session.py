"""Whole sessions with few steps: train, interrupt, resume, evaluate, compare, describe for release, export."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from tests.training import runs
from tests.training.interrupting import interrupted_after
from training.engine.interruption import Interrupted
from training.engine.runs import train_all
from training.release.capture import capture
from training.segmenter.comparison import format_table, list_recipes
from training.segmenter.data import load_data
from training.segmenter.difference import compare_runs
from training.segmenter.network import load_network
from training.segmenter.objective import SegmenterTask
from training.segmenter.servable import describe_release
from training.segmenter.session import fit_segmenter, train

make_options = partial(runs.make_options, model="segmenter", data="shapes")


@pytest.fixture(scope="module")
def finished_run(tiny_recipe, tmp_path_factory):
    return train(tiny_recipe, make_options(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def spec(finished_run):
    return describe_release(finished_run, "cpu")


def test_a_run_leaves_figures_by_class_beside_those_of_the_baselines_and_pictures(finished_run):
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    evaluation = json.loads((finished_run / "evaluation.json").read_text())
    assert (evaluation["dataset"], evaluation["n"]) == ("shapes test", 40)
    network, threshold, majority = (evaluation["methods"][name] for name in ("network", "threshold", "majority"))
    for metric in ("mean_iou", "mean_dice", "foreground_iou"):
        own, low = network[metric], threshold[metric]
        assert own["interval"][0] <= own["value"] <= own["interval"][1]
        assert low["difference"] == pytest.approx(own["value"] - low["value"])
        assert low["difference_interval"][0] <= low["difference"] <= low["difference_interval"][1]
    assert majority["foreground_iou"]["value"] == 0
    assert majority["classes"]["background"]["iou"]["value"] > 0.5
    assert majority["classes"]["disk"]["dice"]["value"] == 0
    assert "accuracy" not in threshold
    difference = network["accuracy"]["value"] - majority["accuracy"]["value"]
    assert majority["accuracy"]["difference"] == pytest.approx(difference)
    assert metrics["mean_iou"] == pytest.approx(network["mean_iou"]["value"], abs=1e-4)
    for name in ("masks.png", "iou_by_class.png"):
        assert (finished_run / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_wrong_with_the_data_is_said_and_kept_with_the_run(tiny_recipe, tmp_path, capsys):
    data = replace(load_data("shapes", tmp_path, tiny_recipe), findings=("2 of 4 test images are training images too",))
    run, _ = fit_segmenter(replace(tiny_recipe, steps=1), make_options(tmp_path / "run"), data)
    assert json.loads((run / "run.json").read_text())["data_findings"] == list(data.findings)
    assert "note: 2 of 4 test images" in capsys.readouterr().err


def test_interrupted_and_resumed_run_equals_uninterrupted_bit_for_bit(finished_run, tiny_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("training.segmenter.session.evaluate_run", lambda run, data: {})
    with interrupted_after(SegmenterTask, 1), pytest.raises(Interrupted, match="stopped after step 2 of 4"):
        train(tiny_recipe, make_options(tmp_path / "run"))
    train(tiny_recipe, make_options(tmp_path / "run", resume=True))
    runs.assert_same_weights(load_network(finished_run)[0], load_network(tmp_path / "run")[0])


def test_the_release_scores_as_the_evaluation_does(finished_run, spec):
    mask, probabilities = spec.programs["main"].module(torch.from_numpy(spec.held_out.inputs["image"]))
    assert (mask.shape, mask.dtype, probabilities.shape) == ((40, 16, 16), torch.uint8, (40, 6))
    scores = spec.held_out.score({"mask": mask.numpy(), "probabilities": probabilities.numpy()})
    metrics = json.loads((finished_run / "run.json").read_text())["metrics"]
    expected = (metrics["mean_iou"] + metrics["accuracy"]) / 2
    guessed = spec.held_out.aggregate(spec.held_out.baseline.scores)
    assert 0 < guessed < 0.5  # of four classes one is right, in some pixels
    assert spec.held_out.aggregate(scores) == pytest.approx(expected, abs=1e-4)
    assert [output.name for output in spec.outputs] == ["probabilities", "label", "mask", "area", "class"]
    assert spec.outputs[2].meaning.startswith("class of each pixel: 0 background, 1 disk")
    assert spec.examples["image"].shape == (3, 16, 16, 3)


def test_calibration_images_are_training_images(spec):
    rows = np.concatenate([batch[0].numpy() for batch in spec.programs["main"].calibration()])
    assert rows.shape == (12, 16, 16, 3)
    held_out = {row.tobytes() for row in spec.held_out.inputs["image"]}
    assert not held_out & {row.tobytes() for row in rows}


def test_the_program_exports_with_any_number_of_rows(spec):
    exported = capture(spec.programs["main"], torch.device("cpu")).module()
    images = torch.from_numpy(spec.held_out.inputs["image"])
    for count in (1, 3, 8):
        for found, wanted in zip(exported(images[:count]), spec.programs["main"].module(images[:count]), strict=True):
            torch.testing.assert_close(found, wanted)


def test_recipes_stand_in_one_table_and_a_task_that_is_not_learned_has_no_figure(
    tiny_recipe, finished_run, tmp_path, monkeypatch
):
    monkeypatch.setattr("training.segmenter.evaluate.draw_all", lambda *given: None)
    monkeypatch.setattr("training.release.statistics._AGGREGATE_REPEATS", 20)
    recipes = list_recipes(replace(tiny_recipe, steps=1))
    chosen = {name: recipes[name] for name in ("both tasks, by uncertainty", "mask alone", "label alone")}
    runs = train_all(chosen, make_options(tmp_path), train)
    both, mask, label = (line.strip("| ").split(" | ") for line in format_table(runs).splitlines()[2:])
    assert [row[0] for row in (both, mask, label)] == list(chosen)
    assert not any("…" in cell for cell in both)
    assert all("…" in cell for cell in mask[1:4])
    assert mask[4] == "–"
    assert label[1:4] == ["–"] * 3
    assert "…" in label[4]
    assert [output.name for output in describe_release(runs["mask alone"], "cpu").outputs] == ["mask", "area", "class"]
    with pytest.raises(ValueError, match="learned the label alone: only segmenters that make masks"):
        describe_release(runs["label alone"], "cpu")
    with pytest.raises(ValueError, match="have no task in common"):
        compare_runs(runs["mask alone"], runs["label alone"])
    assert len(compare_runs(finished_run, runs["mask alone"]).splitlines()) == 4


def test_two_runs_are_compared_by_what_they_say_of_the_same_scenes(finished_run, tmp_path):
    lines = compare_runs(finished_run, finished_run).splitlines()
    assert lines[0] == "40 test scenes; second − first"
    assert [line.split()[0] for line in lines[1:]] == ["mean_iou", "mean_dice", "foreground_iou", "accuracy"]
    assert all("+0.0000" in line and "no difference shown" in line for line in lines[1:])
    with np.load(finished_run / "predictions.npz") as stored:
        arrays = dict(stored)
    perfect = np.repeat(arrays["truth"][:, :, None], 3, 2)
    np.savez(tmp_path / "predictions.npz", **(arrays | {"counts": perfect}))
    lines = compare_runs(finished_run, tmp_path).splitlines()
    assert "→ 1.0000" in lines[1]
    assert lines[1].endswith("they differ")
    np.savez(tmp_path / "predictions.npz", **(arrays | {"truth": arrays["truth"] + 1}))
    with pytest.raises(ValueError, match="were evaluated on different test scenes"):
        compare_runs(finished_run, tmp_path)


@pytest.fixture(scope="module")
def wide_run(tiny_recipe, tmp_path_factory):
    return train(replace(tiny_recipe, width=16), make_options(tmp_path_factory.mktemp("wide")))


def test_a_pruned_run_starts_from_what_was_learned_and_is_released_with_its_own_sizes(wide_run, tiny_recipe, tmp_path):
    recipe = replace(tiny_recipe, width=16, start_from=str(wide_run), pruned_fraction=0.5, steps=1, lr=1e-9)
    run = train(recipe, make_options(tmp_path))
    before, after = (load_network(folder)[0].network for folder in (wide_run, run))
    assert [block[0].out_channels for block in after.down] == [8, 16, 32]
    filters = [network.down[0][0].weight.flatten(1) for network in (before, after)]
    assert torch.cdist(filters[1], filters[0]).amin(1).max() < 1e-5  # each is one of those that were learned
    spec = describe_release(run, "cpu")
    assert spec.parent == wide_run
    program = spec.programs["main"]
    mask = program.module(*program.example_inputs)[0]
    assert mask.shape[1:] == (16, 16)


def test_a_run_starts_from_none_of_another_network(wide_run, tiny_recipe, tmp_path):
    with pytest.raises(ValueError, match=r"has width=16, this recipe 4; set width=16"):
        train(replace(tiny_recipe, start_from=str(wide_run)), make_options(tmp_path))
    with pytest.raises(ValueError, match="set start_from to a finished run"):
        replace(tiny_recipe, pruned_fraction=0.5)
