"""What draws captions, as the rest of the house knows it."""

from __future__ import annotations

from training.models import Model
from training.text_to_image.data import DATA_SETS
from training.text_to_image.difference import compare_runs
from training.text_to_image.recipe import PRESETS, Recipe
from training.text_to_image.servable import describe_release
from training.text_to_image.session import train

MODEL = Model[Recipe](
    kind="text_to_image",
    summary="Captions in, images of what they say out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
)
