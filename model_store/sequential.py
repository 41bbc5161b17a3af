"""A confidence sequence: bounds of a mean that hold at all times at once, so that one may look after every value.

Values x in [0, 1] come one by one, with the same mean μ whatever came before. For each m of a grid, two gamblers with
one unit each bet against "μ is m": one that values are smaller, Π (1 − λ(x − m)), one that they are larger,
Π (1 + λ(x − m)). While μ is m no strategy is expected to win, so by Ville's inequality a gambler reaches 1/α ever with
a probability of at most α; when it does, that m is excluded. Each gambler spreads its unit evenly over fixed λ, one of
which is near the best one. Nothing is assumed of the values' distribution, and two sides of α/2 make 1 − α together.

Source: Waudby-Smith, Ramdas, J. R. Stat. Soc. B 86 (2024), estimating means of bounded random variables by betting;
Howard, Ramdas, McAuliffe, Sekhon, Ann. Stat. 49 (2021), for sequences of intervals that hold uniformly over time.
"""

from __future__ import annotations

import math

import numpy as np

ALPHA = 0.05
_NUM_BETS = 12
# Of the means besides the one that is asked for: their bounds are for people to read.
_NUM_MEANS = 32
_LEAST_SHARE = 1 / 64
_MOST_KNOWN = 16


class ConfidenceSequence:
    """Bounds of a mean at 95 % confidence, exact at `mean_in_question` and to some 30 % elsewhere."""

    def __init__(self, mean_in_question: float, alpha: float = ALPHA) -> None:
        """Raises:
        ValueError: the mean is not between 0 and 1.
        """
        if not 0 < mean_in_question < 1:
            raise ValueError(f"the mean in question must be between 0 and 1, got {mean_in_question:g}")
        below = np.geomspace(mean_in_question * _LEAST_SHARE, mean_in_question, _NUM_MEANS // 2)
        above = np.geomspace(mean_in_question, 1, _NUM_MEANS // 2 + 1)[1:-1]
        self._means = np.concatenate([below, above])
        means = self._means[:, None]
        # Smaller values at a mean of m: the best λ is (1 − μ/m) / (1 − m), a share of the most that cannot lose all.
        self._small = np.linspace(0.08, 0.98, _NUM_BETS) / (1 - means)
        # Larger ones: it is (μ/m − 1) / (1 − m), from a fraction to the many times that a small mean leaves room for.
        self._large = 0.98 / means * np.geomspace(np.minimum(0.25 * means[:, 0], 0.5), 1, _NUM_BETS, axis=1)
        self._log_small = np.zeros_like(self._small)
        self._log_large = np.zeros_like(self._large)
        self._threshold = math.log(2 / alpha)
        self._below = np.zeros(len(self._means), bool)  # excluded because the mean is below it
        self._above = np.zeros(len(self._means), bool)
        self._known: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self._total = 0.0
        self.num_values = 0

    def add(self, value: float) -> None:
        """Take one more value.

        Raises:
            ValueError: it is not between 0 and 1.
        """
        if not 0 <= value <= 1:
            raise ValueError(f"a value must be between 0 and 1, got {value:g}")
        self.num_values += 1
        self._total += value
        won_small, won_large = self._known.get(value) or self._bet(value)
        self._log_small += won_small
        self._log_large += won_large

    def _bet(self, value: float) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of what the gamblers win by a value; the most frequent ones are remembered."""
        surprise = (value - self._means)[:, None]
        won = np.log1p(-self._small * surprise), np.log1p(self._large * surprise)
        if len(self._known) < _MOST_KNOWN:
            self._known[value] = won
        return won

    @property
    def mean(self) -> float:
        """Mean of the values so far; 0 before the first."""
        return self._total / self.num_values if self.num_values else 0.0

    @property
    def upper(self) -> float:
        """The mean is below this; what was excluded once stays so."""
        self._below |= _log_mean_exp(self._log_small) >= self._threshold
        return float(self._means[self._below].min(initial=1.0))

    @property
    def lower(self) -> float:
        """The mean is above this; what was excluded once stays so."""
        self._above |= _log_mean_exp(self._log_large) >= self._threshold
        return float(self._means[self._above].max(initial=0.0))


def _log_mean_exp(logs: np.ndarray) -> np.ndarray:
    most = logs.max(1)
    wealth: np.ndarray = most + np.log(np.exp(logs - most[:, None]).mean(1))
    return wealth
