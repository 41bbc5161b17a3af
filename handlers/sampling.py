"""Chance in the place of the likeliest piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sample from the `top_k` likeliest pieces, log probabilities divided by `temperature`; None as seed is chance.

    Source: Fan et al. 2018, Hierarchical Neural Story Generation, section 5.4 (top-k sampling).
    """

    temperature: float
    top_k: int
    seed: int | None = None


class Sampler:
    """The chance of one row: the same seed gives the same choices, whichever rows are beside it."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = np.random.default_rng(sampling.seed)

    def choose(self, log_probabilities: np.ndarray) -> int:
        """Choose one of some candidates [N], the likeliest first; returns its place."""
        scaled = log_probabilities[: self._sampling.top_k] / self._sampling.temperature
        # The largest of such sums is distributed as softmax says, without a sum over probabilities.
        return int(np.argmax(scaled + self._generator.gumbel(size=len(scaled))))
