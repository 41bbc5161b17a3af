"""What is measured of translations, image by image, and what an aggregate makes of it.

Dimensions: N images, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from training.image_translator.domains import Domains
from training.image_translator.judging import Jury
from training.image_translator.scores import (
    absolute_errors,
    signal_to_noise_db,
    structural_similarities,
)
from training.images.distances import Projection, frechet_of_pairs
from training.release.statistics import average

Rows = dict[str, np.ndarray]


METRICS: Mapping[str, Callable[[np.ndarray], float]] = {
    "frechet": frechet_of_pairs,
    "label_fidelity": average,
    "l1": average,
    "psnr_db": average,
    "ssim": average,
}


class Measurement:
    """The images that translations are held against, seen once."""

    def __init__(self, domains: Domains, jury: Jury, num_components: int) -> None:
        self.domains, self.jury = domains, jury
        self.project: Projection | None = None
        if jury.eyes is not None:
            real = jury.eyes.describe(domains.targets).features
            self.project = Projection(real, num_components)
            self.real = self.project(real)

    def measure(self, answers: Tensor) -> Rows:
        """Measure answers uint8 [N, H, W, D] to all sources: an array [N, …] for each of METRICS that can be told."""
        rows: Rows = {}
        if self.jury.eyes is not None and self.project is not None:
            found = self.project(self.jury.eyes.describe(answers).features)
            count = min(len(found), len(self.real))
            rows["frechet"] = np.stack([found[:count], self.real[:count]], 1)
        if self.domains.paired:
            truth = self.domains.targets
            if self.jury.judge is not None:
                predicted = self.jury.judge.describe(answers).predicted
                rows["label_fidelity"] = (predicted == self.domains.labels.numpy()).astype(np.float64)
            rows["l1"] = absolute_errors(answers, truth)
            rows["psnr_db"] = signal_to_noise_db(answers, truth)
            rows["ssim"] = structural_similarities(answers, truth)
        return rows
