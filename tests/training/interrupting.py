"""Interrupt a training as a person or a cluster does, in the middle of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def interrupted_after(task: type[Any], step: int) -> Iterator[None]:
    """While the block runs, SIGTERM comes when tasks of this class have taken a step, counted from 0."""
    take = task.train_step

    def take_then_interrupt(self: Any, number: int) -> Any:
        metrics = take(self, number)
        if number == step:
            signal.raise_signal(signal.SIGTERM)
        return metrics

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "train_step", take_then_interrupt)
        yield
