"""One training session of a diffusion model: from options to a finished run's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from training.diffusion.data import fit_recipe, load_data
from training.diffusion.evaluate import evaluate_network
from training.diffusion.network import build_network
from training.diffusion.objective import DiffusionTask
from training.diffusion.recipe import Recipe
from training.engine.checkpoint import save_atomically
from training.engine.cost import count_parameters
from training.engine.device import choose_device, limit_threads, place
from training.engine.loop import CHECKPOINT, Plan, fit
from training.engine.optimization import Updater
from training.engine.options import TrainOptions
from training.engine.runs import NETWORK, record_findings, start_run
from training.engine.schedules import make_schedule
from training.engine.seeds import seed_everything
from training.images.assessment import finish_drawing
from training.images.augmentation import TrainingBatches
from training.images.data_checks import announce
from training.images.features import FeatureNetwork
from training.images.grids import save_picture
from training.images.judge import find_judge
from training.images.splits import ImageData
from training.images.validation import MONITOR, Validation

SAMPLES = "samples.png"


def train(recipe: Recipe, options: TrainOptions) -> Path:
    """Train a diffusion model and leave its network, evaluation and pictures in the run's folder."""
    device = choose_device(options.device)
    data = load_data(options.data, options.data_root, recipe)
    findings = announce(data)
    recipe = fit_recipe(recipe, data)
    run = start_run(options, recipe)
    record_findings(run, findings)
    judge = find_judge(
        recipe, data, run, source=options.data, data_root=options.data_root, device=device, seed=options.seed
    )
    seed_everything(options.seed)
    task, num_steps = make_task(recipe, data, judge, device, options.seed)
    num_parameters = count_parameters(task.network)
    print(
        f"{num_parameters} parameters, {num_steps} steps of {recipe.batch_size} images on {device}",
        file=sys.stderr,
    )
    plan = Plan(num_steps=num_steps, validate_every=-(-num_steps // recipe.num_validations), monitor=MONITOR)
    with limit_threads(recipe.max_threads):
        # A run that was interrupted while its judge was trained has no checkpoint yet.
        progress = fit(task, plan, run, resume=options.resume and (run / CHECKPOINT).exists())
        keep_network(run, data, task)
        save_picture(task.draw_pictures()["samples"], run / SAMPLES, enlarge=2)
        figures = evaluate_network(run, recipe, data, task.best_network, judge, seed=options.seed)
    finish_drawing(run, figures, progress)
    return run


def keep_network(run: Path, data: ImageData, task: DiffusionTask) -> None:
    """Store what a release needs of a trained task."""
    content = {"network": task.best_network.state_dict(), "shape": data.shape, "labels": data.labels}
    save_atomically(content, run / NETWORK)


def make_task(
    recipe: Recipe, data: ImageData, judge: FeatureNetwork, device: torch.device, seed: int
) -> tuple[DiffusionTask, int]:
    """Build a task with everything it needs; also return the number of steps in all."""
    batches = TrainingBatches(
        data.train,
        batch_size=recipe.batch_size,
        seed=seed,
        device=device,
        shift_px=recipe.shift_px,
        flip=recipe.flip,
    )
    num_steps = max(1, round(recipe.epochs * batches.steps_per_epoch))
    network = place(build_network(recipe, data.shape, len(data.labels)), device)
    validation = Validation(
        data.validation,
        judge,
        num_samples=recipe.num_validated,
        latent_size=data.train.images[0].numel(),
        conditional=True,
        seed=seed,
    )
    optimizer = torch.optim.AdamW(network.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    schedule = make_schedule(recipe.schedule, num_steps=num_steps, warmup_fraction=recipe.warmup_fraction)
    task = DiffusionTask(
        recipe,
        network=network,
        updater=Updater([optimizer], schedule, clip_norm=recipe.clip_norm),
        batches=batches,
        validation=validation,
        device=device,
        seed=seed,
    )
    return task, num_steps
