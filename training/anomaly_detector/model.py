"""The anomaly detector, as the rest of the house knows it."""

from __future__ import annotations

from training.anomaly_detector.difference import compare_runs
from training.anomaly_detector.recipe import PRESETS, Recipe
from training.anomaly_detector.servable import describe_release
from training.anomaly_detector.session import train
from training.models import Model
from training.signals.recordings import DATA_SETS

MODEL = Model[Recipe](
    kind="anomaly_detector",
    summary="Signals in, whether they are unusual out, learned from usual ones alone.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    length="steps",
    compare=compare_runs,
)
