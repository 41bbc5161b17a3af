"""The segmenter, as the rest of the house knows it."""

from __future__ import annotations

from training.models import Model
from training.segmenter.comparison import compare_all
from training.segmenter.data import DATA_SETS
from training.segmenter.difference import compare_runs
from training.segmenter.recipe import PRESETS, Recipe
from training.segmenter.servable import describe_release
from training.segmenter.session import train

MODEL = Model[Recipe](
    kind="segmenter",
    summary="Images in, the class of every pixel and of the whole image out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
    commands={"comparison": compare_all},
)
