"""The diffusion model, as the rest of the house knows it."""

from __future__ import annotations

from training.diffusion.recipe import PRESETS, Recipe
from training.diffusion.servable import describe_release
from training.diffusion.session import train
from training.diffusion.steps import compare_steps
from training.images.datasets import DATA_SETS
from training.images.difference import compare_runs
from training.models import Model

MODEL = Model[Recipe](
    kind="diffusion",
    summary="Noise in, images out, in few steps.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    compare=compare_runs,
    commands={"steps": compare_steps},
)
