"""The forecaster, as the rest of the house knows it."""

from __future__ import annotations

from training.forecaster.comparison import compare_all
from training.forecaster.data import DATA_SETS
from training.forecaster.difference import compare_runs
from training.forecaster.recipe import PRESETS, Recipe
from training.forecaster.servable import describe_release
from training.forecaster.session import train
from training.models import Model

MODEL = Model[Recipe](
    kind="forecaster",
    summary="Histories of numbers in, quantiles of their next steps out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
    commands={"comparison": compare_all},
)
