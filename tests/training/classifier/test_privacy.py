"""Private runs: they resume with their account, tell what they spent, and refuse what would give images away."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace

import pytest
import torch

from model_store.evidence import parse_records
from tests.training.classifier.test_session import assert_same, load, make_options
from tests.training.interrupting import interrupted_after
from training.classifier.data import load_data
from training.classifier.objective import ClassifierTask
from training.classifier.recipe import PRIVATE
from training.classifier.servable import describe_release
from training.classifier.session import make_task, train
from training.engine.interruption import Interrupted
from training.engine.overrides import override
from training.engine.runs import read_run
from training.images.normalization import Normalization
from training.release.evidence import gather_evidence

TINY = replace(
    PRIVATE,
    resolution=20,
    epochs=2,
    batch_size=50,
    validation_fraction=1900 / 2400,
    privacy_delta=1e-4,
    average_decay=0.9,
)

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def known_secret(monkeypatch):
    monkeypatch.setattr(secrets, "randbits", lambda bits: 2**100)


def test_an_interrupted_private_run_goes_on_bit_for_bit_and_its_account_too(tmp_path, known_secret):
    train(TINY, make_options(tmp_path / "whole"))
    with interrupted_after(ClassifierTask, 3), pytest.raises(Interrupted, match="stopped after step 4"):
        train(TINY, make_options(tmp_path / "broken"))
    train(TINY, make_options(tmp_path / "broken", resume=True))
    whole, broken = (load(tmp_path / name / "checkpoint.pt")["task"] for name in ("whole", "broken"))
    assert_same(broken, whole)
    assert broken["updater"]["privacy"]["history"][0][2] == whole["updater"]["privacy"]["history"][0][2] == 20

    metrics = read_run(tmp_path / "broken")["metrics"]
    assert 2.9 < metrics["privacy_epsilon"] <= 3.0
    low, high = metrics["membership_auc_interval"]
    assert low < metrics["membership_auc"] < high
    _, evaluation = parse_records(gather_evidence(tmp_path / "broken"))
    assert evaluation["privacy"]["epsilon"] == metrics["privacy_epsilon"]
    assert (evaluation["privacy"]["steps"], evaluation["privacy"]["rows"]) == (20, 500)
    assert "secret" not in json.dumps(evaluation)


def test_two_private_runs_of_one_seed_draw_other_noise(tmp_path):
    data = load_data("glyphs", tmp_path, TINY)
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        task, _ = make_task(TINY, data, torch.device("cpu"), seed=0)
        task.train_step(0)
        weights.append(task.network.head.weight)
    assert not torch.equal(*weights)


def test_nothing_is_taken_from_protected_images_but_by_private_steps(tmp_path):
    run = train(replace(TINY, epochs=0.2), make_options(tmp_path))
    data = load_data("glyphs", tmp_path, TINY)
    stored, expected = load(run / "network.pt")["normalization"], Normalization.of(data.validation.images).state_dict()
    assert_same(stored, expected)
    rows = next(iter(describe_release(run, "cpu").programs["main"].calibration()))[0]
    assert torch.equal(rows, data.validation.images[: len(rows)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["teacher=runs/a"], "together with teacher: its answers have learned images without noise"),
        (["clip_norm=0"], "set clip_norm and privacy_delta"),
        (["batch_size=8"], "set batch_size=32 or more"),
        (["accumulation=2"], "set accumulation=1"),
    ],
)
def test_what_would_give_images_away_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        override(TINY, changes)


@pytest.mark.parametrize("network", ["compact", "resnet18"])
def test_networks_that_normalize_over_a_batch_are_refused(network, tmp_path):
    recipe = replace(TINY, network=network, widths=(8, 16, 16))
    with pytest.raises(
        ValueError, match=f"network {network} with privacy_epsilon: .* normalizes over a batch.*tempered"
    ):
        make_task(recipe, load_data("glyphs", tmp_path, recipe), torch.device("cpu"), seed=0)
