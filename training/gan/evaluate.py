"""How good a generator is: its images, and what its opponent has learned to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from training.engine.seeds import generator_for
from training.gan.network import AnyGenerator
from training.gan.probe import probe_features
from training.gan.program import make_drawing
from training.gan.recipe import Recipe
from training.images.assessment import assess_images
from training.images.dcgan import Discriminator
from training.images.features import FeatureNetwork
from training.images.splits import ImageData

_PROBED = 30


def evaluate_generator(
    run: Path,
    recipe: Recipe,
    data: ImageData,
    generator: AnyGenerator,
    discriminator: Discriminator,
    judge: FeatureNetwork,
    eyes: FeatureNetwork,
    *,
    seed: int,
) -> dict[str, Any]:
    """Describe a generator in figures, ready for JSON; see `assess_images`."""
    figures = assess_images(run, recipe, data, make_drawing(generator, judge.device), judge, eyes, seed=seed)
    probed = torch.randperm(len(data.train), generator=generator_for(seed, _PROBED))[: recipe.num_probed]
    figures["probe_accuracy"] = probe_features(discriminator, data.train.take(probed), data.test, judge.device)
    return figures
