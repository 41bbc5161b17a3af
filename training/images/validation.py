"""What is measured of a generator while it trains: always the same latents, against validation images.

Dimensions: N images, Z latent values, F features.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from training.engine.seeds import generator_for
from training.images.distances import FrechetReference
from training.images.drawing import Drawing
from training.images.features import FeatureNetwork
from training.images.grids import arrange_grid
from training.images.splits import Split

MONITOR = "quality"
_PLACE = 20
_GRID_ROWS = 8


class Validation:
    """Fixed latents and labels, and the real images they are compared with."""

    def __init__(
        self, split: Split, judge: FeatureNetwork, *, num_samples: int, latent_size: int, conditional: bool, seed: int
    ) -> None:
        self.judge, self.conditional = judge, conditional
        self.num_classes = judge.num_classes
        generator = generator_for(seed, _PLACE)
        self.latents = torch.randn(num_samples, latent_size, generator=generator)
        self.labels = torch.arange(num_samples) % self.num_classes
        self.real_labels = split.labels.numpy()
        self.real_features = judge.describe(split.images).features
        self.reference = FrechetReference(self.real_features)

    def measure(self, drawing: Drawing) -> Mapping[str, float]:
        """Give `quality` (minus the Fréchet distance), `frechet`, `diversity`, and for classes `label_fidelity`."""
        found = self.judge.describe(drawing(self.latents, self.labels))
        frechet = self.reference.distance(found.features)
        scores = {"quality": -frechet, "frechet": frechet, "diversity": self._diversity(found.features)}
        if self.conditional:
            scores["label_fidelity"] = float((found.predicted == self.labels.numpy()).mean())
        return scores

    def _diversity(self, features: np.ndarray) -> float:
        """Spread of features over that of real ones; with classes, of the class that fares worst."""
        if not self.conditional:
            return _spread(features) / _spread(self.real_features)
        labels = self.labels.numpy()
        ratios = [
            _spread(features[labels == k]) / _spread(self.real_features[self.real_labels == k])
            for k in range(self.num_classes)
            if (self.real_labels == k).sum() > 1
        ]
        return min(ratios)

    def draw_samples(self, drawing: Drawing) -> np.ndarray:
        """Draw a grid uint8 [H, W, C] of the first samples; with classes, one column for each of the first ones."""
        columns = min(self.num_classes, 10) if self.conditional else 10
        rows = torch.arange(_GRID_ROWS * self.num_classes).view(_GRID_ROWS, -1)[:, :columns].flatten()
        if not self.conditional:
            rows = torch.arange(_GRID_ROWS * columns)
        rows = rows % len(self.latents)
        return arrange_grid(drawing(self.latents[rows], self.labels[rows]).numpy(), columns)


def _spread(features: np.ndarray) -> float:
    """Root mean square distance of features [N, F] from their mean."""
    return float(np.sqrt(features.var(0).sum() + 1e-12))
