"""Chance in the place of the likeliest piece, and what keeps a text from repeating itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next piece is chosen; None as seed is chance.

    Log probabilities of pieces that are `seen` or have been chosen are first multiplied by `repetition_penalty`, all
    are divided by `temperature` (0 takes the likeliest), and chance chooses from the `top_k` likeliest, of these from
    the fewest whose probabilities sum to `top_p`.
    Source: Fan et al. 2018, Hierarchical Neural Story Generation, section 5.4 (top-k); Holtzman et al. 2020, The
    Curious Case of Neural Text Degeneration, section 3.1 (top-p); Keskar et al. 2019, CTRL, section 4.1 (the penalty).
    """

    temperature: float
    top_k: int
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    seen: frozenset[int] = frozenset()


class Sampler:
    """The chance of one row: the same seed gives the same choices, whichever rows are beside it."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = np.random.default_rng(sampling.seed)
        self._seen = set(sampling.seen)

    def choose(self, log_probabilities: np.ndarray, pieces: np.ndarray) -> int:
        """Choose one of some candidates [N], the likeliest first; returns its place."""
        rule, values = self._sampling, log_probabilities
        order = np.arange(len(values))
        if rule.repetition_penalty != 1:
            values = np.where(np.isin(pieces, list(self._seen)), values * rule.repetition_penalty, values)
            order = np.argsort(-values, kind="stable")
        chosen = int(order[self._draw(values[order[: rule.top_k]])])
        self._seen.add(int(pieces[chosen]))
        return chosen

    def _draw(self, log_probabilities: np.ndarray) -> int:
        rule = self._sampling
        if not rule.temperature:
            return 0
        scaled = log_probabilities / rule.temperature
        if rule.top_p < 1:
            shares = np.exp(scaled - scaled[0])
            shares /= shares.sum()
            scaled = scaled[np.cumsum(shares) - shares < rule.top_p]
        # The largest of such sums is distributed as softmax says, without a sum over probabilities.
        return int(np.argmax(scaled + self._generator.gumbel(size=len(scaled))))
