"""The image generator, as the rest of the house knows it."""

from __future__ import annotations

from training.gan.comparison import compare_all
from training.gan.recipe import PRESETS, Recipe
from training.gan.servable import describe_release
from training.gan.session import train
from training.images.datasets import DATA_SETS
from training.images.difference import compare_runs
from training.models import Model

MODEL = Model[Recipe](
    kind="gan",
    summary="Latent vectors in, images out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    compare=compare_runs,
    commands={"comparison": compare_all},
)
