"""The curves of a run, as they lie in its folder."""

import math

import pytest
import torch

from tests.training.engine.test_loop import Duel
from training.engine.curves import CURVES, CurveFile, read_curves
from training.engine.interruption import Interrupted
from training.engine.loop import Plan, fit


def test_a_fit_leaves_losses_and_validation_metrics_by_step(tmp_path):
    task = Duel(scores=[0.25, 0.5, 0.75])
    fit(task, Plan(num_steps=5, validate_every=2, monitor="score", log_every=2), tmp_path)
    curves = read_curves(tmp_path)
    assert set(curves) == {"train/first", "train/second", "validation/score"}
    assert [step for step, _ in curves["train/first"]] == [2, 4, 5]
    assert curves["validation/score"] == [(2, 0.25), (4, 0.5), (5, 0.75)]


def test_a_resumed_run_has_the_curves_of_one_that_was_not_interrupted(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    plan = Plan(num_steps=20, validate_every=6, monitor="score", log_every=2)
    torch.manual_seed(1)
    fit(Duel(), plan, whole)
    torch.manual_seed(1)
    with pytest.raises(Interrupted, match="after step 9 of 20"):
        fit(Duel(stop_at=8), plan, parts)
    with (parts / CURVES).open("a") as file:  # as if it had gone on after its checkpoint, until it was killed
        file.write('{"step": 10, "train/first": 99.0}\n{"step": 12, "trai')
    fit(Duel(), plan, parts, resume=True)
    assert read_curves(parts) == read_curves(whole)


def test_what_is_not_finite_is_left_out(tmp_path):
    file = CurveFile(tmp_path)
    file.add({"a": math.nan, "b": 1.0}, 1)
    file.add({"a": math.inf, "b": 2.0}, 2)
    file.close()
    assert read_curves(tmp_path) == {"b": [(1, 1.0), (2, 2.0)]}


def test_a_run_from_before_there_were_curves_has_none(tmp_path):
    assert read_curves(tmp_path) == {}
