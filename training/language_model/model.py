"""The language model, as the rest of the house knows it."""

from __future__ import annotations

from training.language_model.data import DATA_SETS
from training.language_model.difference import compare_runs
from training.language_model.recipe import PRESETS, Recipe
from training.language_model.servable import describe_release
from training.language_model.session import train
from training.models import Model

MODEL = Model[Recipe](
    kind="language_model",
    summary="The beginning of a text in, how it goes on out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
)
