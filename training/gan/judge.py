"""Classifiers that training of a generator needs: one to judge it, one that learns from its images.

Both are ordinary runs of the classifier, in folders of their own inside the generator's run.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from training.classifier.images import ImageData
from training.classifier.recipe import PRESETS
from training.classifier.session import finish_classifier, make_task
from training.engine.device import limit_threads
from training.engine.loop import Plan, fit
from training.engine.options import TrainOptions
from training.engine.runs import clear_run, finish_run, read_run, start_run
from training.engine.seeds import seed_everything
from training.gan.features import FeatureNetwork


def train_small_classifier(
    data: ImageData, out: Path, *, preset: str, epochs: float, data_root: Path, device: torch.device, seed: int
) -> dict[str, float]:
    """Train a classifier on `data` into the run `out`, or find it finished there; returns its test figures."""
    if out.exists():
        if read_run(out)["finished"]:
            metrics: dict[str, float] = read_run(out)["metrics"]
            return metrics
        clear_run(out)
    recipe = dataclasses.replace(
        PRESETS[preset], data=data.name, epochs=epochs, num_validation=len(data.validation), resolution=data.shape[0]
    )
    options = TrainOptions(
        model="classifier", preset=preset, data=data.name, data_root=data_root, out=out, device=str(device), seed=seed
    )
    seed_everything(seed)
    task, num_steps = make_task(recipe, data, device, seed)
    run = start_run(options, recipe)
    every = min(num_steps, task.batches.steps_per_epoch)
    with limit_threads(recipe.max_threads):
        fit(task, Plan(num_steps=num_steps, validate_every=every, monitor="accuracy"), run)
    metrics = finish_classifier(run, recipe, data, task, device)
    finish_run(run, metrics)
    return metrics


def find_judge(
    judge: str,
    data: ImageData,
    run: Path,
    *,
    preset: str,
    epochs: float,
    data_root: Path,
    device: torch.device,
    seed: int,
) -> FeatureNetwork:
    """Open the classifier run `judge`, or train one on the same data into the folder `judge` of `run`."""
    folder = Path(judge)
    if not judge:
        folder = run / "judge"
        train_small_classifier(
            data, folder, preset=preset, epochs=epochs, data_root=data_root, device=device, seed=seed
        )
    return FeatureNetwork.of_run(folder, data.labels, data.shape, device)
