"""The text classifier, as the rest of the house knows it."""

from __future__ import annotations

from training.labels.difference import compare_runs
from training.models import Model
from training.text_classifier.comparison import compare_all
from training.text_classifier.data import DATA_SETS
from training.text_classifier.recipe import PRESETS, Recipe
from training.text_classifier.servable import describe_release
from training.text_classifier.session import train

MODEL = Model[Recipe](
    kind="text_classifier",
    summary="Texts in, a probability for each label out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    compare=compare_runs,
    commands={"comparison": compare_all},
)
