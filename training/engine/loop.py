"""The fit loop: steps, validation, early stopping, checkpoints. It knows a task only by the protocol below."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from host.progress import ProgressBar
from training.engine.checkpoint import load_checkpoint, save_checkpoint
from training.engine.distributed import add_up_figures, agree, dismiss, draw_apart, from_leader, leads, num_processes
from training.engine.events import EventLog
from training.engine.interruption import Interrupted, Interruption
from training.engine.observation import tell_observer

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"


class Task(Protocol):
    """What is trained. A step may do anything: several optimizers, token batches, data generated on the fly.

    What a step draws at random must come from `generator_for(seed, step)` or from torch's global generator; both are
    the same again after a resume. Where several processes train, each takes its share of a step's batch
    (`distributed.own_share`), and what it returns and gives to an Updater are shares of the batch's loss and figures.
    """

    device: torch.device

    def train_step(self, step: int) -> Mapping[str, Tensor]:
        """Take one step and return scalars to log, still on the device."""

    def validate(self) -> Mapping[str, float]:
        """Measure on validation data."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Illustrated(Protocol):
    """A task that has something to look at besides figures."""

    def draw_pictures(self) -> Mapping[str, np.ndarray]:
        """Draw pictures uint8 [H, W, C], to be recorded at each validation."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to fit, in steps.

    `monitor` names the validation metric that `patience` watches, higher is better; `patience` counts validations
    without improvement before the run stops and goes back to its best state, 0 trains to the end and keeps the end.
    """

    num_steps: int
    validate_every: int
    monitor: str
    patience: int = 0
    log_every: int = 10

    def __post_init__(self) -> None:
        for name in ("num_steps", "validate_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(kw_only=True)
class Progress:
    """How far a fit has come, and how far it was to go; part of its checkpoint."""

    step: int = 0
    num_steps: int = 0
    elapsed_s: float = 0.0
    best: float = float("-inf")
    num_worse: int = 0
    stopped_early: bool = False


def fit(task: Task, plan: Plan, run: Path, *, resume: bool = False) -> Progress:
    """Train a task to the end of its plan, leaving checkpoints and events in the run's folder.

    Several processes start from the leader's state, so that the others need not see the run's folder.

    Raises:
        Dismissed: other processes have trained too, and this one does not lead.
        Interrupted: Ctrl-C or SIGTERM came; the checkpoint holds the last finished step.
        FloatingPointError: the loss is no longer finite.
        ValueError: a resumed run has come further than the plan goes.
    """
    progress = Progress()
    if resume and leads():
        state, saved = load_checkpoint(run / CHECKPOINT, task.device)
        task.load_state_dict(state)
        progress = _extend(Progress(**saved), plan, run)
    if num_processes() > 1:
        state, saved = from_leader(lambda: (task.state_dict(), vars(progress)), task.device)
        task.load_state_dict(state)
        progress = Progress(**saved)
    progress.num_steps = plan.num_steps
    events = EventLog(run, last_step=progress.step)
    try:
        with Interruption() as interruption, ProgressBar("training", plan.num_steps, done=progress.step) as bar:
            _Fit(task, plan, run, progress, events, bar).run_steps(interruption)
    finally:
        events.close()
    dismiss()
    if plan.patience:
        state, _ = load_checkpoint(run / BEST, task.device)
        task.load_state_dict(state)
    return progress


def _extend(progress: Progress, plan: Plan, run: Path) -> Progress:
    """Let a run that is made longer go on, even where it had stopped early."""
    if plan.num_steps < progress.step:
        raise ValueError(f"{run} has taken {progress.step} steps already, more than the {plan.num_steps} asked for")
    if 0 < progress.num_steps < plan.num_steps:
        progress.stopped_early, progress.num_worse = False, 0
        print(
            f"{run} is made longer, {plan.num_steps} steps instead of {progress.num_steps}: after step {progress.step} "
            "it goes on at the learning rate that a run of this length has there",
            file=sys.stderr,
        )
    return progress


@dataclass(frozen=True)
class _Fit:
    task: Task
    plan: Plan
    run: Path
    progress: Progress
    events: EventLog
    bar: ProgressBar

    def run_steps(self, interruption: Interruption) -> None:
        plan, progress = self.plan, self.progress
        started = time.monotonic() - progress.elapsed_s
        seed = torch.initial_seed()
        while progress.step < plan.num_steps and not progress.stopped_early:
            draw_apart(seed, progress.step)
            metrics = self.task.train_step(progress.step)
            progress.step += 1
            progress.elapsed_s = time.monotonic() - started
            is_last = progress.step == plan.num_steps
            note = self._log(metrics) if is_last or progress.step % plan.log_every == 0 else None
            self.bar.advance(1, note)
            stopping = agree(interruption.requested)
            if is_last or progress.step % plan.validate_every == 0:
                score = self._validate()
                self._save(CHECKPOINT)
                tell_observer(self.run, -(-progress.step // plan.validate_every), score)
            elif stopping:
                self._save(CHECKPOINT)
            if stopping and not is_last:
                dismiss()
                checkpoint = self.run / CHECKPOINT
                raise Interrupted(f"stopped after step {progress.step} of {plan.num_steps}; {checkpoint} is complete")

    def _log(self, metrics: Mapping[str, Tensor]) -> str:
        step = self.progress.step
        values = add_up_figures(metrics)
        for name, value in values.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} is {value} at step {step}; lower the learning rate or set clip_norm")
        self.events.add_scalars("train", values, step)
        return "  ".join(f"{name} {value:.4g}" for name, value in values.items())

    def _validate(self) -> float:
        """Measure, and return the score of the state that the run would now end with."""
        plan, progress = self.plan, self.progress
        scores = from_leader(lambda: dict(self.task.validate()))
        self.events.add_scalars("validation", scores, progress.step)
        if isinstance(self.task, Illustrated) and leads():
            self.events.add_pictures(self.task.draw_pictures(), progress.step)
        figures = "  ".join(f"{name} {value:.5g}" for name, value in scores.items())
        self.bar.say(f"step {progress.step}/{plan.num_steps}  {progress.elapsed_s:.0f} s  validation: {figures}")
        if scores[plan.monitor] > progress.best:
            progress.best, progress.num_worse = scores[plan.monitor], 0
            if plan.patience:
                self._save(BEST)
            return progress.best
        progress.num_worse += 1
        if plan.patience and progress.num_worse >= plan.patience:
            progress.stopped_early = True
            self.bar.say(f"no better {plan.monitor} for {plan.patience} validations: stopped, keeping the best state")
        return progress.best if plan.patience else scores[plan.monitor]

    def _save(self, name: str) -> None:
        if leads():
            save_checkpoint(self.run / name, self.task.state_dict(), vars(self.progress))
