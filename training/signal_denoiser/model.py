"""The signal denoiser, as the rest of the house knows it."""

from __future__ import annotations

from training.models import Model
from training.signal_denoiser.data import DATA_SETS
from training.signal_denoiser.difference import compare_runs
from training.signal_denoiser.recipe import PRESETS, Recipe
from training.signal_denoiser.servable import describe_release
from training.signal_denoiser.session import train

MODEL = Model[Recipe](
    kind="signal_denoiser",
    summary="Disturbed signals in, the signals without wander, hum and noise out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
)
