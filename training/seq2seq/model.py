"""The translator, as the rest of the house knows it."""

from __future__ import annotations

from training.models import Model
from training.seq2seq.benchmark import measure_speed
from training.seq2seq.comparison import compare_all
from training.seq2seq.data import DATA_SETS
from training.seq2seq.difference import compare_runs
from training.seq2seq.recipe import PRESETS, Recipe
from training.seq2seq.servable import describe_release
from training.seq2seq.session import train

MODEL = Model[Recipe](
    kind="seq2seq",
    summary="A text in, its translation or its summary out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    divides_batches=True,
    compare=compare_runs,
    commands={"comparison": compare_all, "benchmark": measure_speed},
)
