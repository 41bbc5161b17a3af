"""CSI feedback, as the rest of the house knows it."""

from __future__ import annotations

from training.csi_feedback.comparison import compare_all
from training.csi_feedback.data import DATA_SETS
from training.csi_feedback.difference import compare_runs
from training.csi_feedback.recipe import PRESETS, Recipe
from training.csi_feedback.servable import describe_release
from training.csi_feedback.session import train
from training.models import Model

MODEL = Model[Recipe](
    kind="csi_feedback",
    summary="Channels in, short codewords out, and back.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
    commands={"comparison": compare_all},
)
