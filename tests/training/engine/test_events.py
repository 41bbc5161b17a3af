"""What a fit leaves for TensorBoard."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.engine.test_loop import Duel
from training.engine.events import EventLog
from training.engine.loop import Plan, fit

tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read_events(folder):
    events = tensorboard.EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events


class DrawingDuel(Duel):
    def draw_pictures(self):
        return {"samples": np.full((6, 9, 1), 200, np.uint8)}


def test_pictures_are_recorded_under_their_names_and_steps(tmp_path):
    log = EventLog(tmp_path)
    log.add_pictures({"a": np.zeros((4, 5, 3), np.uint8), "b": np.zeros((4, 5, 1), np.uint8)}, 7)
    log.close()
    events = read_events(tmp_path)
    assert sorted(events.Tags()["images"]) == ["a", "b"]
    assert [(image.step, image.width, image.height) for image in events.Images("a")] == [(7, 5, 4)]


def test_a_task_that_draws_is_drawn_at_each_validation(tmp_path):
    fit(DrawingDuel(), Plan(num_steps=5, validate_every=2, monitor="score"), tmp_path)
    assert [image.step for image in read_events(tmp_path).Images("samples")] == [2, 4, 5]


def test_a_task_that_draws_nothing_leaves_no_pictures(tmp_path):
    fit(Duel(), Plan(num_steps=2, validate_every=2, monitor="score"), tmp_path)
    assert read_events(tmp_path).Tags()["images"] == []
