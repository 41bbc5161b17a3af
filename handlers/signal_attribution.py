"""Which samples of a signal an answer was found in: integrated gradients of an exported program.

Dimensions: N rows, L samples, K classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import fx

from handlers.differentiable import DifferentiableProgram, calls, find_input, value_of


class SignalAttribution:
    """Attribute the answers of one program from signals [N, L] to values [N, K]."""

    def __init__(self, program: Path) -> None:
        """Load a `.pt2`."""
        self._program = DifferentiableProgram(program)
        self._layer = self._program.mark(_find_scaled(self._program.list_sources()))

    def attribute(
        self, signals: np.ndarray, num_steps: int = 32, target: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attribute each signal's most probable class, or class `target`; returns float32 [N, L] and [N, K].

        The path starts from a flat line, and goes up in the network's own scale where it has one: to a network that
        divides by a signal's deviation all gains are the same, and a path through them would find nothing.

        Raises:
            AttributionError: no such class.
        """
        signals_NL = torch.from_numpy(signals.astype(np.float32))
        targets, values_NK = self._program.choose(signals_NL, target)
        places_NL = self._program.integrate_gradients(self._layer, signals_NL, 0.0, targets, num_steps)
        return places_NL.float().numpy(), values_NK.float().numpy()


def _find_scaled(sources: list[fx.Node]) -> fx.Node:
    """Find where the signal has been divided by its deviation, in its own shape; else the signal itself."""
    signal = find_input(sources)
    return next((node for node in sources if calls(node, "div") and _measure(node) == _measure(signal)), signal)


def _measure(node: fx.Node) -> torch.Size | None:
    value = value_of(node)
    return None if value is None else value.shape
