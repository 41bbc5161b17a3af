"""How good generated images are, each distance beside its floor: that between real training and real test images.

Dimensions: N images, F features, K classes.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from training.engine.loop import Progress
from training.engine.runs import finish_run, write_json
from training.engine.seeds import generator_for
from training.images.coverage import measure_coverage
from training.images.distances import FrechetReference
from training.images.drawing import Drawing
from training.images.features import Description, FeatureNetwork
from training.images.grids import arrange_grid, save_picture
from training.images.judge import Judged, train_classifier
from training.images.kernel_distance import measure_kernel_distance
from training.images.splits import ImageData, Split, digest_of
from training.release.statistics import wilson_interval

EVALUATION = "evaluation.json"
FEATURES = "features.npz"
NEIGHBOURS = "neighbours.png"
_SAMPLES = 30
_NUM_COVERED = 5000
_NUM_PICTURED, _NUM_NEIGHBOURS = 10, 5


class Assessed(Judged, Protocol):
    """What a recipe says besides about its images, and about the classifier that learns from them alone."""

    @property
    def student_epochs(self) -> float: ...
    @property
    def num_samples(self) -> int: ...


def finish_drawing(run: Path, figures: Mapping[str, Any], progress: Progress) -> None:
    """Leave all figures of a kind that draws in the run, and those that are one number in its record."""
    write_json(run / EVALUATION, figures)
    headline = {name: value for name, value in figures.items() if isinstance(value, float)}
    finish_run(run, {**headline, "train_s": round(progress.elapsed_s, 1), "steps": progress.step})


def assess_images(
    run: Path,
    recipe: Assessed,
    data: ImageData,
    drawing: Drawing,
    judge: FeatureNetwork,
    eyes: FeatureNetwork,
    *,
    seed: int,
) -> dict[str, Any]:
    """Describe what is drawn in figures, ready for JSON, and draw the nearest training images of some samples.

    Distances are about what `eyes` see, everything about classes is the judge's. Features of samples and of test images
    stay in the run, for comparisons with other runs.
    """
    num_learned = len(data.train) + len(data.validation) if drawing.conditional else 0
    drawn = drawing.sample(data, max(recipe.num_samples, num_learned), generator_for(seed, _SAMPLES))
    samples = drawn.take(torch.arange(recipe.num_samples))
    found = judge.describe(samples.images)
    train = judge.describe(data.train.images)
    draw_neighbours(samples.images, found.features, data.train.images, train.features, run / NEIGHBOURS)
    seen, test = found, eyes.describe(data.test.images)
    if eyes is not judge:
        seen, train = eyes.describe(samples.images), eyes.describe(data.train.images[: len(samples)])
    np.savez_compressed(run / FEATURES, generated=seen.features, real=test.features)
    figures: dict[str, Any] = {"data": data.name, "n": len(samples), "n_test": len(data.test)}
    figures |= {"train_digest": digest_of(data.train), "test_digest": digest_of(data.test)}
    figures |= measure_distances(seen, train, test)
    figures["class_shares"] = (np.bincount(found.predicted, minlength=judge.num_classes) / len(samples)).tolist()
    if drawing.conditional:
        right = int((found.predicted == samples.labels.numpy()).sum())
        figures["label_fidelity"] = right / len(samples)
        figures["label_fidelity_interval"] = list(wilson_interval(right, len(samples)))
        figures["classification_accuracy_score"] = score_as_training_data(
            run, recipe, data, drawn.take(torch.arange(num_learned)), device=judge.device, seed=seed
        )
    return figures


def measure_distances(found: Description, train: Description, test: Description) -> dict[str, float]:
    """Measure generated against test features, and as the floor as many training features against them."""
    count = min(len(found.features), len(train.features))
    floor = Description(train.features[:count], train.probabilities[:count])
    reference = FrechetReference(test.features)
    figures: dict[str, float] = {}
    for suffix, rows in (("", found), ("_floor", floor)):
        figures[f"frechet{suffix}"] = reference.distance(rows.features)
        figures[f"kernel_distance{suffix}"] = measure_kernel_distance(rows.features, test.features)
        figures[f"inception_score{suffix}"] = measure_inception_score(rows.probabilities)
        covered = measure_coverage(_subset(test.features), _subset(rows.features))
        figures |= {f"{name}{suffix}": value for name, value in dataclasses.asdict(covered).items()}
    return figures


def measure_inception_score(probabilities: np.ndarray) -> float:
    """Exponential of the mean divergence of probabilities [N, K] from their mean, over five parts; from 1 to K.

    Source: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 4.
    """
    rows = torch.from_numpy(probabilities).clamp_min(1e-12)
    parts = (rows / rows.sum(1, keepdim=True))[torch.randperm(len(rows))].chunk(5)
    divergences = [(part * (part / part.mean(0)).log()).sum(1).mean() for part in parts]
    return float(torch.stack(divergences).exp().mean())


def score_as_training_data(
    run: Path, recipe: Assessed, data: ImageData, drawn: Split, *, device: torch.device, seed: int
) -> float:
    """Train a classifier on drawn images alone; return its accuracy on real test images.

    Source: Ravuri and Vinyals 2019, Classification Accuracy Score, https://arxiv.org/abs/1905.10887.
    """
    with tempfile.TemporaryDirectory(prefix="student-", dir=run) as folder:
        file = Path(folder) / "generated.npz"
        arrays = {"images": drawn.images, "labels": drawn.labels}
        arrays |= {"test_images": data.test.images, "test_labels": data.test.labels}
        content: Any = {name: tensor.numpy() for name, tensor in arrays.items()}
        np.savez(file, names=np.array(data.labels), **content)
        student = train_classifier(
            recipe, f"arrays:{file}", run, run / "student", epochs=recipe.student_epochs, device=device, seed=seed
        )
    return float(student["accuracy"])


def draw_neighbours(
    generated: Tensor, features: np.ndarray, train: Tensor, train_features: np.ndarray, path: Path
) -> None:
    """Draw samples in the first column, and in the others the training images that look most alike to the judge."""
    distances = torch.cdist(torch.from_numpy(features[:_NUM_PICTURED]), torch.from_numpy(train_features))
    nearest = distances.topk(min(_NUM_NEIGHBOURS, len(train)), dim=1, largest=False).indices
    rows = [torch.cat([generated[index : index + 1], train[nearest[index]]]) for index in range(len(nearest))]
    save_picture(arrange_grid(torch.cat(rows).numpy(), 1 + nearest.shape[1]), path, enlarge=2)


def _subset(features: np.ndarray) -> Tensor:
    return torch.from_numpy(features[:_NUM_COVERED]).float()
