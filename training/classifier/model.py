"""The classifier, as the rest of the house knows it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from training.classifier.recipe import PRESETS, Recipe
from training.classifier.servable import describe_release
from training.classifier.session import train
from training.images.datasets import DATA_SETS
from training.labels.difference import compare_runs
from training.models import Model

# Imported late: training needs torch and numpy alone; the further verbs need typer and more.


def _list_commands() -> dict[str, Callable[..., None]]:
    """The further verbs; where typer is missing nobody can type them."""
    if importlib.util.find_spec("typer") is None:
        return {}
    from training.classifier.comparison import compare_all
    from training.classifier.feature_pictures import draw_features
    from training.classifier.robustness import report_robustness

    return {"comparison": compare_all, "features": draw_features, "robustness": report_robustness}


MODEL = Model[Recipe](
    kind="classifier",
    summary="Images in, class probabilities out.",
    presets=PRESETS,
    data_sets=DATA_SETS,
    train=train,
    describe_release=describe_release,
    divides_batches=True,
    compare=compare_runs,
    commands=_list_commands(),
)
