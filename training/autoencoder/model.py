"""The autoencoder, as the rest of the house knows it."""

from __future__ import annotations

from training.autoencoder.comparison import compare_all
from training.autoencoder.difference import compare_runs
from training.autoencoder.recipe import PRESETS, Recipe
from training.autoencoder.servable import describe_release
from training.autoencoder.session import train
from training.images.datasets import DATA_SETS
from training.models import Model

MODEL = Model[Recipe](
    kind="autoencoder",
    summary="Images in, their codes out, what the codes tell of them, and how unusual they are.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    compare=compare_runs,
    commands={"comparison": compare_all},
)
