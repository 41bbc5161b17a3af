"""What a finished run is worth on test captions, beside real images and beside real images of other captions.

Every figure has a 95 % bootstrap interval over images; differences to what was drawn are paired.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from training.engine.runs import write_json
from training.images.coverage import measure_coverage
from training.images.distances import FrechetReference
from training.release.statistics import describe_figures, round_figures
from training.sequences.vocabulary import Vocabulary
from training.text_to_image.captioned import CaptionData, CaptionedImages
from training.text_to_image.jury import Jury
from training.text_to_image.matching import see_images
from training.text_to_image.measurement import METRICS, Measurement, Rows
from training.text_to_image.network import Generator
from training.text_to_image.pictures import draw_attention, draw_samples
from training.text_to_image.program import draw_images
from training.text_to_image.recipe import Recipe

EVALUATION = "evaluation.json"
MEASURED = "measured.npz"
DRAWN, REAL, OTHERS = "drawn", "real images", "real images of other captions"


def evaluate_run(
    run: Path, recipe: Recipe, data: CaptionData, network: Generator, jury: Jury, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Measure a finished run, write evaluation.json, measured.npz and pictures; returns the headline figures.

    Those of unseen combinations have `unseen_` in front.
    """
    parts: dict[str, Any] = {}
    kept: Rows = {}
    for name, part in data.tests.items():
        measurement = Measurement(part, data, jury, vocabulary, recipe)
        drawn = draw_images(network, measurement.latents, measurement.pieces)
        rows = {method: measurement.measure(images) for method, images in _answers(drawn, part).items()}
        for method in (REAL, OTHERS):
            del rows[method]["frechet"]  # of real images to themselves
        kept |= {f"{name}_{metric}": each for metric, each in rows[DRAWN].items()}
        methods = {method: describe_figures(each, rows[DRAWN], METRICS) for method, each in rows.items()}
        parts[name] = {"n": len(part), "methods": methods, **_measure_spread(measurement, rows[DRAWN], data, jury)}
    write_json(run / EVALUATION, {"dataset": f"{data.name} test", "digest": data.digest(), "parts": parts})
    np.savez_compressed(run / MEASURED, **kept)  # type: ignore[arg-type]
    if importlib.util.find_spec("matplotlib") is not None:
        draw_samples(run / "samples.png", network, data, vocabulary, recipe)
        if recipe.reads == "words":
            draw_attention(run / "attention.png", network, data, vocabulary, recipe)
    return {"n": parts["seen"]["n"]} | {
        metric: value
        for name, part in parts.items()
        for metric, value in round_figures(part["methods"][DRAWN], "" if name == "seen" else f"{name}_").items()
    }


def _answers(drawn: Tensor, part: CaptionedImages) -> dict[str, Tensor]:
    return {DRAWN: drawn, REAL: part.images, OTHERS: part.images.roll(1, 0)}


def _measure_spread(measurement: Measurement, rows: Rows, data: CaptionData, jury: Jury) -> dict[str, float]:
    """Precision and recall as the judge sees them, and how far as many training images are from the test images."""
    seen, real = rows["frechet"][:, 0], measurement.real
    train = see_images(jury.judge, data.train.images[: len(seen)]).double().numpy()
    found = measure_coverage(real, measurement.real.new_tensor(seen))
    floor = FrechetReference(real.double().numpy()).distance(train)
    return {"precision": found.precision, "recall": found.recall, "frechet_of_training_images": floor}
