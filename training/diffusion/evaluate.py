"""How good a run's images are, drawn as a request that names nothing gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.diffusion.network import Network
from training.diffusion.program import make_drawing
from training.diffusion.recipe import Recipe
from training.images.assessment import assess_images
from training.images.features import FeatureNetwork
from training.images.judge import find_eyes
from training.images.splits import ImageData


def evaluate_network(
    run: Path, recipe: Recipe, data: ImageData, network: Network, judge: FeatureNetwork, *, seed: int
) -> dict[str, Any]:
    """Describe a network in figures, ready for JSON; see `assess_images`."""
    drawing = make_drawing(network, recipe, judge.device)
    return assess_images(run, recipe, data, drawing, judge, find_eyes(recipe, judge), seed=seed)
