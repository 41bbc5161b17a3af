"""What is measured of drawn captions, image by image, and what an aggregate makes of it.

Dimensions: N images, E values compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from training.engine.seeds import generator_for
from training.images.distances import frechet_of_pairs
from training.release.statistics import average
from training.sequences.vocabulary import Vocabulary
from training.text_to_image.captioned import CaptionData, CaptionedImages
from training.text_to_image.jury import Jury
from training.text_to_image.matching import read_captions, see_images
from training.text_to_image.pairs import encode_captions
from training.text_to_image.reading import name_things
from training.text_to_image.recipe import Recipe
from training.text_to_image.scores import score_retrieval, score_things

Rows = dict[str, np.ndarray]
_LATENTS = 20


METRICS: Mapping[str, Callable[[np.ndarray], float]] = {
    "r_precision": average,
    "class_accuracy": average,
    "colour_accuracy": average,
    "scene_accuracy": average,
    "frechet": frechet_of_pairs,
}


class Measurement:
    """The captions of a part, latents that are always the same, and its real images as the judge sees them."""

    def __init__(
        self, part: CaptionedImages, data: CaptionData, jury: Jury, vocabulary: Vocabulary, recipe: Recipe
    ) -> None:
        self.part, self.jury, self.num_candidates = part, jury, recipe.num_candidates
        self.nothing = len(data.classes), len(data.colours)
        self.pieces = encode_captions(part.first_captions, vocabulary, recipe.max_pieces)
        self.latents = torch.randn(len(part), recipe.latent_size, generator=generator_for(_LATENTS))
        self.read = read_captions(jury.judge, self.pieces)
        self.real = see_images(jury.judge, part.images)

    def measure(self, images: Tensor) -> Rows:
        """Measure images uint8 [N, H, W, C] of all captions: an array [N, …] for each of METRICS that can be told."""
        seen = see_images(self.jury.judge, images)
        rows: Rows = {"r_precision": score_retrieval(seen, self.read, self.pieces, self.num_candidates)}
        if self.jury.reader is not None and self.part.things is not None:
            rows |= score_things(name_things(self.jury.reader, images), self.part.things, self.nothing)
        rows["frechet"] = torch.stack([seen, self.real], 1).double().numpy()
        return rows

    def summarize(self, images: Tensor) -> dict[str, float]:
        """All metrics of images."""
        return {metric: METRICS[metric](rows) for metric, rows in self.measure(images).items()}
