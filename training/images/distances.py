"""Distances between sets of images, from features of them; numpy alone, because the release gate uses them too.

Dimensions: N rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution fitted to features: mean [F] and covariance [F, F], float64."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray) -> Gaussian:
        """Fit to features [N, F].

        Raises:
            ValueError: fewer than two rows.
        """
        if len(features) < 2:
            raise ValueError(f"a covariance needs two rows or more, got {len(features)}")
        rows = features.astype(np.float64)
        mean = rows.mean(0)
        centred = rows - mean
        return cls(mean, centred.T @ centred / (len(rows) - 1))


class FrechetReference:
    """Real features that others are compared with; their matrix root is computed once."""

    def __init__(self, features: np.ndarray) -> None:
        """Fit to real features [N, F]."""
        self.real = Gaussian.fit(features)
        values, vectors = np.linalg.eigh(self.real.covariance)
        self._root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T

    def distance(self, features: np.ndarray) -> float:
        """Compute the Fréchet distance, squared as is the custom, to features [N, F].

        The trace of the root of a product of covariances is that of (A½ B A½)½, which is symmetric.
        Source: Heusel et al. 2017, https://arxiv.org/abs/1706.08500, eq. 6.
        """
        other = Gaussian.fit(features)
        values = np.linalg.eigvalsh(self._root @ other.covariance @ self._root)
        cross = np.sqrt(np.clip(values, 0, None)).sum()
        shift = np.square(other.mean - self.real.mean).sum()
        return float(shift + np.trace(self.real.covariance) + np.trace(other.covariance) - 2 * cross)


def frechet_of_pairs(features: np.ndarray) -> float:
    """Fréchet distance between the features of drawn and of as many real images, [N, 2, F]: the drawn come first."""
    return FrechetReference(features[:, 1]).distance(features[:, 0])


class Projection:
    """The leading principal components of real features, on which a distance is cheap enough to be bootstrapped."""

    def __init__(self, features: np.ndarray, num_components: int) -> None:
        """Find them in real features [N, F]; at most F are kept."""
        fitted = Gaussian.fit(features)
        _, vectors = np.linalg.eigh(fitted.covariance)
        self.mean, self.axes = fitted.mean, vectors[:, ::-1][:, :num_components]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Project features [N, F] to float64 [N, components]."""
        projected: np.ndarray = (features - self.mean) @ self.axes
        return projected


def bootstrap_difference(
    first: np.ndarray, second: np.ndarray, real: np.ndarray, *, repeats: int, seed: int
) -> tuple[float, tuple[float, float]]:
    """Compare two generators by Fréchet distance: second minus first, and its 95 % percentile interval.

    Generated features [N, F] of both and the real ones are resampled, so that the interval holds for other real images
    too.
    """
    random = np.random.default_rng(seed)
    reference = FrechetReference(real)
    difference = reference.distance(second) - reference.distance(first)
    values = np.empty(repeats)
    for index in range(repeats):
        drawn = [rows[random.integers(0, len(rows), len(rows))] for rows in (first, second, real)]
        reference = FrechetReference(drawn[2])
        values[index] = reference.distance(drawn[1]) - reference.distance(drawn[0])
    low, high = np.percentile(values, (2.5, 97.5))
    return difference, (float(low), float(high))
