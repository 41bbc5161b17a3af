"""Whole sessions on generated glyphs: train, interrupt, resume, give up, evaluate."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.gan.conftest import TINY, make_options
from tests.training.interrupting import interrupted_after
from training.engine.interruption import Interrupted
from training.engine.runs import read_run
from training.gan.adversarial import AdversarialTask
from training.gan.construction import make_task
from training.gan.data import load_data
from training.gan.health import CollapsedError
from training.gan.recipe import DCGAN, PRESETS, WGAN_GP
from training.gan.session import train
from training.gan.variational import VariationalTask
from training.images.difference import compare_runs
from training.images.gradient_penalties import penalize_real_gradient
from training.images.judge import open_judge
from training.images.pixels import scale_images

CPU = torch.device("cpu")
OF_TINY = (
    "data",
    "validation_fraction",
    "resolution",
    "widths",
    "latent_size",
    "batch_size",
    "judge_epochs",
    "judge_preset",
)
OF_TINY += ("min_diversity", "student_epochs", "num_validations", "num_samples", "num_probed")


def shrink(recipe, **changes):
    return replace(recipe, **{name: getattr(TINY, name) for name in OF_TINY}, **changes)


@pytest.fixture
def start(finished_run, tmp_path):
    """Make options of a run that finds its judge trained already."""

    def make(name="run", **changes):
        out = tmp_path / name
        return make_options(out, **changes)

    return make


@pytest.fixture
def judge(finished_run):
    return {"judge": str(finished_run / "judge")}


@pytest.fixture(scope="module")
def data():
    return load_data("glyphs", Path(), TINY)


@pytest.fixture(scope="module")
def eyes(finished_run, data):
    return open_judge(finished_run / "judge", data, CPU)


def test_a_run_leaves_network_figures_and_pictures(finished_run):
    for name in ("network.pt", "checkpoint.pt", "samples.png", "neighbours.png", "features.npz", "judge/network.pt"):
        assert (finished_run / name).is_file(), name
    assert (finished_run / "judge/evaluation.json").is_file()
    assert not (finished_run / "judge/confusion_matrix.png").exists()
    figures = json.loads((finished_run / "evaluation.json").read_text())
    record = read_run(finished_run)
    assert record["finished"]
    assert record["metrics"]["frechet"] == figures["frechet"]
    assert figures["data"] == "glyphs"
    assert len(figures["train_digest"]) == 64
    assert figures["train_digest"] != figures["test_digest"]
    for name in ("frechet", "kernel_distance", "inception_score", "precision", "recall", "density", "coverage"):
        assert np.isfinite(figures[name])
        assert np.isfinite(figures[f"{name}_floor"])
    assert figures["frechet"] > figures["frechet_floor"]
    assert sum(figures["class_shares"]) == pytest.approx(1)
    for name in ("label_fidelity", "classification_accuracy_score", "probe_accuracy"):
        assert 0 <= figures[name] <= 1
    assert figures["probe_accuracy"] > 0.15


@pytest.mark.parametrize(
    ("preset", "task", "changes"),
    [
        ("full", AdversarialTask, {}),
        ("wgan-gp", AdversarialTask, {"discriminator_steps": 2}),
        ("growing", AdversarialTask, {}),
        ("vae", VariationalTask, {}),
    ],
)
def test_an_interrupted_run_resumes_bit_exactly(preset, task, changes, start, judge, monkeypatch):
    recipe = shrink(PRESETS[preset], epochs=0.6, average_decay=0.9, **judge, **changes)
    monkeypatch.setattr("training.gan.session.evaluate_generator", lambda *given, **named: {})
    whole = torch.load(train(recipe, start("whole")) / "checkpoint.pt", weights_only=True)
    with interrupted_after(task, 3), pytest.raises(Interrupted):
        train(recipe, start("parts"))
    parts = torch.load(train(recipe, start("parts", resume=True)) / "checkpoint.pt", weights_only=True)
    for name, state in whole["task"].items():
        assert_same(state, parts["task"][name])


def test_a_run_validates_as_often_as_asked_for_whatever_its_steps(start, judge, monkeypatch):
    recipe = replace(shrink(PRESETS["full"], epochs=0.4, **judge), num_validations=3)
    monkeypatch.setattr("training.gan.session.evaluate_generator", lambda *given, **named: {})
    lines = [json.loads(line) for line in (train(recipe, start()) / "curves.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation/frechet" in line] == [3, 6, 7]


def assert_same(first, second):
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, (list, tuple)):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


@pytest.mark.parametrize("loss", ["non-saturating", "hinge", "least-squares", "wasserstein"])
@pytest.mark.parametrize("norm", ["batch", "layer", "spectral", "none"])
def test_every_loss_trains_with_every_normalization(loss, norm, data, eyes):
    recipe = shrink(DCGAN, loss=loss, discriminator_norm=norm)
    task, _ = make_task(recipe, data, eyes, CPU, 0)
    before = {name: value.clone() for name, value in task.generator.state_dict().items()}
    metrics = task.train_step(0)
    assert all(bool(torch.isfinite(value)) for value in metrics.values())
    assert any(not torch.equal(before[name], value) for name, value in task.generator.state_dict().items())


def test_both_players_name_classes_where_that_has_a_weight(data, eyes):
    task, _ = make_task(shrink(PRESETS["full"]), data, eyes, CPU, 0)
    metrics = [task.train_step(step) for step in range(30)]
    for name in ("class_loss", "generator_class_loss"):
        assert metrics[0][name] > 2
    assert metrics[-1]["class_loss"] < metrics[0]["class_loss"]
    with pytest.raises(ValueError, match="class_weight is about labels"):
        replace(DCGAN, class_weight=0.1)


def test_r1_holds_down_the_slope_of_scores_at_real_images(data, eyes):
    slopes = []
    spectral = {"discriminator_norm": "spectral", "discriminator_lr": 2e-3, "sees_batch": True}
    for weight in (0.0, 100.0):
        recipe = shrink(DCGAN, r1_weight=weight, r1_every=2, **spectral)
        task, _ = make_task(recipe, data, eyes, CPU, 0)
        for step in range(20):
            task.train_step(step)
        real = scale_images(data.test.images[:64])
        slopes.append(float(penalize_real_gradient(task.discriminator, real).detach()))
    assert slopes[1] < slopes[0] / 10


def test_a_network_that_grows_learns_at_every_size_and_ends_at_its_own(data, eyes):
    task, num_steps = make_task(shrink(PRESETS["growing"], epochs=1.0), data, eyes, CPU, 0)
    sizes = []
    for step in range(num_steps):
        metrics = task.train_step(step)
        assert all(bool(torch.isfinite(value)) for value in metrics.values())
        sizes.append(task.best_generator.size)
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (0, 1)
    assert any(0 < size < 1 for size in sizes)
    assert sizes.count(1) == num_steps - num_steps // 2


def test_a_collapsed_run_stops_early_and_records_why(start, judge):
    recipe = shrink(DCGAN, epochs=2, **judge)
    recipe = replace(recipe, min_diversity=0.99, generator_lr=1e-9, num_validations=6, patience=2)
    with pytest.raises(CollapsedError, match="mode collapse"):
        train(recipe, start())
    record = read_run(start().out)
    assert record["stopped"].startswith("mode collapse")
    assert record["finished"] is None
    assert not (start().out / "network.pt").exists()


def copy_with_features(run, folder, **moved):
    """Copy a run, and move what a judge saw of its images or of the real ones."""
    shutil.copytree(run, folder)
    with np.load(folder / "features.npz") as file:
        np.savez(folder / "features.npz", **{name: file[name] + moved.get(name, 0) for name in ("generated", "real")})
    return folder


def test_two_runs_are_compared_by_the_eyes_of_one_judge(finished_run, tmp_path):
    other = copy_with_features(finished_run, tmp_path / "other", generated=1)
    report = compare_runs(finished_run, other)
    assert re.search(r"second minus first, .*: \+.*: they differ", report)
    assert str(other) in report


def test_runs_of_different_judges_are_not_compared(finished_run, tmp_path):
    other = copy_with_features(finished_run, tmp_path / "other", real=1)
    with pytest.raises(ValueError, match="judged by different classifiers"):
        compare_runs(finished_run, other)


def test_a_judge_of_other_data_is_refused(start, judge):
    recipe = shrink(WGAN_GP, **judge)
    with pytest.raises(ValueError, match=r"the classifier .* knows 10 classes of images \(16, 16, 1\)"):
        train(replace(recipe, resolution=20), start())
