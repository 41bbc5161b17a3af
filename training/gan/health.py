"""Signs that a game between two networks is lost, so that a run stops early and says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_WATCHED = ("discriminator_loss", "score_deviation")
# Scores spread by about 1, and losses start near 1; a thousandth of that is no signal for a generator.
_DEAD = 1e-3


class CollapsedError(ValueError):
    """Going on with this run is useless; the message says why and what to change."""


class HealthMonitor:
    """Watches the discriminator from one validation to the next, and the diversity of images at each.

    A run is given up when a sign shows at `patience` validations in a row, the first of which is not looked at: an
    untrained generator draws much the same for every latent.
    """

    def __init__(self, *, min_diversity: float, patience: int) -> None:
        self.min_diversity, self.patience = min_diversity, patience
        self._sums = {name: torch.zeros(()) for name in _WATCHED}
        self._num_steps, self._num_checks, self._num_bad = 0, 0, 0

    def observe(self, step: int, metrics: Mapping[str, Tensor]) -> None:
        """Take in the metrics of one step, without waiting for the device."""
        for name in _WATCHED:
            self._sums[name] = self._sums[name].to(metrics[name].device) + metrics[name].detach()
        self._num_steps += 1

    def check(self, scores: Mapping[str, float]) -> None:
        """Judge the steps since the last check, and the `diversity` (generated over real) of now.

        Raises:
            CollapsedError: a sign of collapse has shown for too long.
        """
        means = {name: float(total) / max(1, self._num_steps) for name, total in self._sums.items()}
        reason = self._find_reason(means, scores["diversity"]) if self._num_checks else ""
        self._num_checks += 1
        self._num_bad = self._num_bad + 1 if reason else 0
        self._sums = {name: torch.zeros(()) for name in _WATCHED}
        self._num_steps = 0
        if self._num_bad >= self.patience:
            raise CollapsedError(f"{reason} ({self._num_bad} validations in a row)")

    def _find_reason(self, means: Mapping[str, float], diversity: float) -> str:
        if diversity < self.min_diversity:
            return (
                f"mode collapse: generated images differ {diversity:.3f} times as much as real ones, "
                f"less than min_diversity={self.min_diversity:g}; lower generator_lr, or use loss=hinge with "
                "discriminator_norm=spectral"
            )
        if means["score_deviation"] < _DEAD:
            return (
                f"dead discriminator: its scores differ by only {means['score_deviation']:.1e} between images; "
                "lower discriminator_lr"
            )
        if abs(means["discriminator_loss"]) < _DEAD:
            return (
                f"dead discriminator: its loss is {means['discriminator_loss']:.1e}, it has nothing left to learn and "
                "the generator nothing to follow; lower discriminator_lr, or use discriminator_norm=spectral"
            )
        return ""

    def state_dict(self) -> dict[str, Any]:
        counts = {"num_steps": self._num_steps, "num_checks": self._num_checks, "num_bad": self._num_bad}
        return {"sums": dict(self._sums), **counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sums = dict(state["sums"])
        self._num_steps, self._num_checks, self._num_bad = state["num_steps"], state["num_checks"], state["num_bad"]
