"""One training session of an autoencoder: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.autoencoder.data import CodedData, fit_recipe, load_data
from training.autoencoder.evaluate import evaluate_run
from training.autoencoder.network import Autoencoder
from training.autoencoder.objective import MONITOR, AutoencoderTask
from training.autoencoder.program import answer_images
from training.autoencoder.recipe import Recipe
from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads, place
from training.engine.loop import Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, finish_run, record_findings, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.images.augmentation import TrainingBatches
from training.images.data_checks import announce
from training.labels.unusual import find_threshold


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train an autoencoder and leave its network, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    findings = announce(data.images)
    recipe = fit_recipe(recipe, data)
    seed_everything(options.seed)
    task, num_steps = make_task(recipe, data, device, options.seed)
    run = start_run(options, recipe)
    record_findings(run, findings)
    num_parameters = count_parameters(task.network)
    print(f"{num_parameters} parameters, {num_steps} steps of {recipe.batch_size} images on {device}", file=sys.stderr)
    plan = Plan(num_steps=num_steps, validate_every=-(-num_steps // recipe.num_validations), monitor=MONITOR)
    with limit_threads(recipe.max_threads):
        progress = fit(task, plan, run, resume=options.resume)
    keep_network(run, data, recipe, task.best_network)
    finish_run(run, {**evaluate_run(run, data), "train_s": round(progress.elapsed_s, 1), "steps": progress.step})
    return run


def make_task(recipe: Recipe, data: CodedData, device: torch.device, seed: int) -> tuple[AutoencoderTask, int]:
    """Build network, optimizer and batches; also return the number of steps in all."""
    batches = TrainingBatches(
        data.images.train,
        batch_size=recipe.batch_size,
        seed=seed,
        device=device,
        shift_px=recipe.shift_px,
        flip=recipe.flip,
    )
    num_steps = max(1, round(recipe.epochs * batches.steps_per_epoch))
    network = place(Autoencoder(recipe, data.images.shape), device)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    schedule = make_schedule(recipe.schedule, num_steps=num_steps, warmup_fraction=recipe.warmup_fraction)
    updater = Updater([optimizer], schedule, clip_norm=recipe.clip_norm)
    return (
        AutoencoderTask(recipe, network=network, updater=updater, batches=batches, data=data, device=device, seed=seed),
        num_steps,
    )


def keep_network(run: Path, data: CodedData, recipe: Recipe, network: Autoencoder) -> None:
    """Store what a release needs: the weights, and from which deviation on an image is unusual."""
    deviations = answer_images(network, data.seen_validation).deviation
    content = {
        "network": network.state_dict(),
        "shape": data.images.shape,
        "labels": data.images.labels,
        "threshold": find_threshold(deviations, recipe.usual_share),
    }
    save_atomically(content, run / NETWORK)
