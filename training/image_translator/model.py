"""The image translator, as the rest of the house knows it."""

from __future__ import annotations

from training.image_translator.comparison import compare_all
from training.image_translator.data import DATA_SETS
from training.image_translator.difference import compare_runs
from training.image_translator.recipe import PRESETS, Recipe
from training.image_translator.servable import describe_release
from training.image_translator.session import train
from training.models import Model

MODEL = Model[Recipe](
    kind="image_translator",
    summary="Images in, the same things in another style out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
    commands={"comparison": compare_all},
)
