"""The fit loop, with a task that has two optimizers and makes its own data, as no single-optimizer loop could run."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import nn

from training.engine.checkpoint import load_checkpoint
from training.engine.interruption import Interrupted
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.schedules import make_schedule
from training.engine.seeds import generator_for

CPU = torch.device("cpu")


class Duel:
    """Two networks, each with its own loss and optimizer, stepped in turn on data drawn for the step."""

    device = CPU

    def __init__(self, *, scores=(), stop_at=None):
        torch.manual_seed(0)
        self.networks = [nn.Linear(3, 3), nn.Linear(3, 1)]
        schedule = make_schedule("cosine", num_steps=20, warmup_fraction=0.1)
        self.updaters = [
            Updater([torch.optim.Adam(network.parameters(), lr=0.01)], schedule, clip_norm=1.0)
            for network in self.networks
        ]
        self.scores = list(scores)
        self.stop_at = stop_at

    def train_step(self, step):
        x = torch.randn(4, 3, generator=generator_for(7, step)) + 0.1 * torch.randn(4, 3)
        first = (self.networks[0](x) - x).square().mean()
        self.updaters[0].update(first, step)
        second = self.networks[1](self.networks[0](x).detach()).square().mean()
        self.updaters[1].update(second, step)
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)
        return {"first": first.detach(), "second": second.detach()}

    def validate(self):
        return {"score": self.scores.pop(0) if self.scores else 0.0}

    def state_dict(self):
        return {
            "networks": [network.state_dict() for network in self.networks],
            "updaters": [updater.state_dict() for updater in self.updaters],
        }

    def load_state_dict(self, state):
        for network, saved in zip(self.networks, state["networks"], strict=True):
            network.load_state_dict(saved)
        for updater, saved in zip(self.updaters, state["updaters"], strict=True):
            updater.load_state_dict(saved)


def flatten(state):
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, dict):
        return [leaf for key in sorted(state, key=str) for leaf in flatten(state[key])]
    if isinstance(state, list | tuple):
        return [leaf for part in state for leaf in flatten(part)]
    return [] if state is None else [torch.tensor(float(state))]


def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    plan = Plan(num_steps=20, validate_every=6, monitor="score")
    whole, first, second = Duel(), Duel(stop_at=8), Duel()
    (tmp_path / "whole").mkdir()
    torch.manual_seed(1)
    fit(whole, plan, tmp_path / "whole")
    torch.manual_seed(1)
    with pytest.raises(Interrupted, match="after step 9 of 20"):
        fit(first, plan, tmp_path)
    torch.manual_seed(99)
    progress = fit(second, plan, tmp_path, resume=True)
    assert progress.step == 20
    leaves = flatten(second.state_dict())
    assert len(leaves) > 12
    assert all(torch.equal(a, b) for a, b in zip(leaves, flatten(whole.state_dict()), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(flatten(first.networks[0].state_dict()), leaves, strict=False))


def test_resume_without_checkpoint_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        fit(Duel(), Plan(num_steps=2, validate_every=1, monitor="score"), tmp_path, resume=True)


def test_stops_early_and_goes_back_to_the_best_state(tmp_path):
    task = Duel(scores=[0.1, 0.5, 0.4, 0.3, 0.9])
    progress = fit(task, Plan(num_steps=20, validate_every=2, monitor="score", patience=2), tmp_path)
    assert (progress.step, progress.best, progress.stopped_early) == (8, 0.5, True)
    state, saved = load_checkpoint(tmp_path / "best.pt", CPU)
    assert saved["step"] == 4
    assert all(torch.equal(a, b) for a, b in zip(flatten(state), flatten(task.state_dict()), strict=True))


def test_a_finished_run_goes_on_to_a_longer_plan_and_not_to_a_shorter_one(tmp_path, capsys):
    fit(Duel(), Plan(num_steps=6, validate_every=6, monitor="score"), tmp_path)
    task = Duel()
    progress = fit(task, Plan(num_steps=9, validate_every=6, monitor="score"), tmp_path, resume=True)
    assert (progress.step, progress.num_steps) == (9, 9)
    assert "9 steps instead of 6: after step 6 it goes on" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has taken 9 steps already, more than the 4 asked for"):
        fit(Duel(), Plan(num_steps=4, validate_every=2, monitor="score"), tmp_path, resume=True)


def test_a_run_that_stopped_early_stays_so_unless_it_is_made_longer(tmp_path):
    plan = Plan(num_steps=20, validate_every=2, monitor="score", patience=1)
    assert fit(Duel(scores=[0.5, 0.4]), plan, tmp_path).step == 4
    assert fit(Duel(), plan, tmp_path, resume=True).step == 4
    longer = Plan(num_steps=22, validate_every=2, monitor="score", patience=1)
    progress = fit(Duel(scores=[0.6, 0.4]), longer, tmp_path, resume=True)
    assert (progress.step, progress.best, progress.stopped_early) == (8, 0.6, True)


def test_refuses_to_go_on_with_an_infinite_loss(tmp_path):
    task = Duel()
    nn.init.constant_(task.networks[0].weight, float("inf"))
    with pytest.raises(FloatingPointError, match="at step 1; lower the learning rate"):
        fit(task, Plan(num_steps=3, validate_every=3, monitor="score", log_every=1), tmp_path)


def test_plan_refuses_zero_steps():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        Plan(num_steps=0, validate_every=1, monitor="score")


def test_writes_tensorboard_events(tmp_path):
    fit(Duel(scores=[0.25]), Plan(num_steps=4, validate_every=4, monitor="score", log_every=2), tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [point.step for point in events.Scalars("train/first")] == [2, 4]
    assert [point.value for point in events.Scalars("validation/score")] == [0.25]
