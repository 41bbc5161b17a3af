"""What a finished run is worth on test images, beside answers that need no network.

Every figure has a 95 % bootstrap interval over images; differences to the network are paired.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from training.engine.runs import write_json
from training.image_translator.baselines import colour_by_level, copy_sources
from training.image_translator.domains import TranslationData
from training.image_translator.judging import Jury
from training.image_translator.measurement import METRICS, Measurement
from training.image_translator.network import Translator
from training.image_translator.pictures import draw_translations
from training.image_translator.program import translate
from training.image_translator.recipe import Recipe
from training.images.distances import FrechetReference
from training.release.statistics import describe_figures, round_figures

EVALUATION = "evaluation.json"
MEASURED = "measured.npz"
NETWORK, COPY, LEVELS = "network", "source copied", "mean colour of each level"


def evaluate_run(
    run: Path, recipe: Recipe, data: TranslationData, network: Translator, jury: Jury, more: Mapping[str, float]
) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, measured.npz and a picture; returns the headline figures.

    `more` are figures that only one way to learn has.
    """
    answers = {NETWORK: translate(network, data.test.sources)} | answer_without_network(data)
    measurement = Measurement(data.test, jury, recipe.num_components)
    rows = {method: measurement.measure(each) for method, each in answers.items()}
    methods = {method: describe_figures(each, rows[NETWORK], METRICS) for method, each in rows.items()}
    figures: dict[str, Any] = {"dataset": f"{data.name} test", "n": len(data.test.sources), "methods": methods}
    figures |= dict(more)
    if measurement.project is not None and jury.eyes is not None:
        floor = measurement.project(jury.eyes.describe(data.train.targets[: len(data.test.targets)]).features)
        figures["frechet_floor"] = FrechetReference(measurement.real).distance(floor)
    write_json(run / EVALUATION, figures)
    np.savez_compressed(run / MEASURED, **rows[NETWORK])  # type: ignore[arg-type]
    if importlib.util.find_spec("matplotlib") is not None:
        draw_translations(data.test, answers, run / "translations.png")
    return {"n": figures["n"]} | round_figures(methods[NETWORK]) | dict(more)


def answer_without_network(data: TranslationData) -> dict[str, Tensor]:
    """Answer the test sources by the baselines; the mean colour of a level takes pairs to be known."""
    sources = data.test.sources
    answers = {COPY: copy_sources(sources, data.target_shape[2])}
    if data.train.paired:
        answers[LEVELS] = colour_by_level(data.train, sources)
    return answers
