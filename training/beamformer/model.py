"""The beamformer, as the rest of the house knows it."""

from __future__ import annotations

from training.beamformer.benchmark import measure_speed
from training.beamformer.comparison import compare_all
from training.beamformer.data import DATA_SETS
from training.beamformer.inspection import inspect_data
from training.beamformer.recipe import PRESETS, Recipe
from training.beamformer.robustness import report_robustness
from training.beamformer.servable import describe_release
from training.beamformer.session import train
from training.models import Model

MODEL = Model[Recipe](
    kind="beamformer",
    summary="Noisy channel estimates in, precoders and combiners out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    inspect=inspect_data,
    commands={"comparison": compare_all, "benchmark": measure_speed, "robustness": report_robustness},
)
