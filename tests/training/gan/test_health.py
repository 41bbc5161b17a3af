"""When a run is given up."""

from __future__ import annotations

import pytest
import torch

from training.gan.health import CollapsedError, HealthMonitor

HEALTHY = {"discriminator_loss": torch.tensor(1.2), "score_deviation": torch.tensor(0.8)}


def run_window(monitor, diversity=1.0, **changes):
    for step in range(3):
        monitor.observe(step, HEALTHY | {name: torch.tensor(value) for name, value in changes.items()})
    monitor.check({"diversity": diversity})


def test_a_healthy_game_goes_on():
    monitor = HealthMonitor(min_diversity=0.2, patience=1)
    for _ in range(5):
        run_window(monitor)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"diversity": 0.05}, r"mode collapse: generated images differ 0\.050 times as much as real ones"),
        ({"score_deviation": 1e-5}, "dead discriminator: its scores differ by only"),
        ({"discriminator_loss": 1e-6}, "dead discriminator: its loss is"),
    ],
)
def test_a_sign_that_stays_ends_the_run_with_its_reason(changes, reason):
    monitor = HealthMonitor(min_diversity=0.2, patience=2)
    run_window(monitor, **changes)
    run_window(monitor, **changes)
    with pytest.raises(CollapsedError, match=reason):
        run_window(monitor, **changes)


def test_a_sign_that_passes_is_forgiven():
    monitor = HealthMonitor(min_diversity=0.2, patience=2)
    run_window(monitor)
    for _ in range(3):
        run_window(monitor, diversity=0.05)
        run_window(monitor)


def test_its_memory_survives_a_checkpoint():
    monitor, resumed = (HealthMonitor(min_diversity=0.2, patience=2) for _ in range(2))
    run_window(monitor)
    run_window(monitor, diversity=0.05)
    resumed.load_state_dict(monitor.state_dict())
    with pytest.raises(CollapsedError):
        run_window(resumed, diversity=0.05)
