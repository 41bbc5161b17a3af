"""The signal classifier, as the rest of the house knows it."""

from __future__ import annotations

from training.labels.difference import compare_runs
from training.models import Model
from training.signal_classifier.comparison import compare_all
from training.signal_classifier.recipe import PRESETS, Recipe
from training.signal_classifier.servable import describe_release
from training.signal_classifier.session import train
from training.signals.recordings import DATA_SETS

MODEL = Model[Recipe](
    kind="signal_classifier",
    summary="Signals in, a probability for each label out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
    commands={"comparison": compare_all},
)
