"""The classifier, as the rest of the house knows it."""

from __future__ import annotations

from training.classifier.recipe import PRESETS, Recipe
from training.classifier.servable import describe_release
from training.classifier.session import train
from training.images.datasets import DATA_SETS
from training.labels.difference import compare_runs
from training.models import Model

MODEL = Model[Recipe](
    kind="classifier",
    summary="Images in, class probabilities out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    divides_batches=True,
    compare=compare_runs,
)
